-- Reads the bytes of a record.
-- Parameters: 1 its key. Result: none or one row.
SELECT bytes
FROM keypackage_pool_packages
WHERE key = ?1
