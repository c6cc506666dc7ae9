-- DEL-1: the bytes of all records of a pool.
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pool_bytes
WHERE key IN (SELECT key FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry WHERE pool = ?1)
