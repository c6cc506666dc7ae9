-- META-6: inserts a number of the record of the pool.
-- Parameters: 1 key, 2 number.
INSERT INTO keypackage_pool_metadata_record (key, number)
VALUES (?1, ?2)
