-- TIME-2: when the next lease or window ends.
-- Parameters: 1 the pool's key, 2 now. Result: one row; NULL when there is none.
SELECT min(ends_at)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_states
WHERE pool = ?1 AND state IN (3, 4, 5, 6, 7, 8) AND ends_at > ?2
