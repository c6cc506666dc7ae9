-- META-6: deletes the record of the pool, before metadata_record_insert.
DELETE FROM keypackage_pool_metadata_record
