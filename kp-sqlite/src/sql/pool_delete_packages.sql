-- DEL-1: all records of a pool, with their leases.
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1
