-- RES-3: reads the support of a record.
-- Parameters: 1 its key. Result: none or one row.
SELECT key, support
FROM keypackage_pool_packages
WHERE key = ?1
