-- DEL-1: deletes all records of a pool. A trigger deletes their leases.
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1
