-- META-6: reads the record of the pool. This is a scan: a record has few numbers.
-- Result: key, number.
SELECT key, number
FROM keypackage_pool_metadata_record
ORDER BY key
