-- The bytes of a new record.
-- Parameters: 1 its key, 2 the bytes.
INSERT INTO keypackage_pool_bytes (key, bytes)
VALUES (?1, ?2)
