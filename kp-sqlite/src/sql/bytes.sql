-- The bytes of a record.
-- Parameters: 1 its key. Result: none or one row.
SELECT bytes
FROM keypackage_pool_bytes
WHERE key = ?1
