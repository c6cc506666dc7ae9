-- SWEEP-1: reads when the next record of a pool expires.
-- Parameters: 1 the pool's key. Result: one row; NULL when the pool has no record.
SELECT min(not_after)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1
