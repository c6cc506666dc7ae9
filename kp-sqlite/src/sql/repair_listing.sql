-- READ-5: deletes a pool that has no record.
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pools
WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM keypackage_pool_packages WHERE pool = ?1)
