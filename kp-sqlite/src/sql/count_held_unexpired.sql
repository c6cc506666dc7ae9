-- SAVE-6, COST-1: the same, in a pool where something is: without reading it.
-- Parameters: 1 the pool's key, 2 the ciphersuite, 3 now. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_expiry
WHERE pool = ?1 AND not_after > ?3 AND state IN (0, 3, 4) AND suite = ?2
