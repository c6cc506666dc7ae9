-- TIME-2: when the next lease or window ends.
-- Parameters: 1 the pool's key, 2 the moment after which. Result: one row; NULL when there is none.
SELECT min(ends_at)
FROM keypackage_pool_leases INDEXED BY keypackage_pool_held
WHERE pool = ?1 AND ends_at > ?2
