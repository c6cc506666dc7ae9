-- TIME-2: reads when the next lease or window of a pool lapses.
-- Parameters: 1 the pool's key, 2 the moment after which. Result: one row; NULL when there is none.
SELECT min(lapses_at)
FROM keypackage_pool_leases INDEXED BY keypackage_pool_lease_ids
WHERE pool = ?1 AND lapses_at > ?2
