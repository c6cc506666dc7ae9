-- SAVE-6: what counts towards the cap of a ciphersuite, in a pool in which nothing is past its not_after.
-- Parameters: 1 the pool's key, 2 the ciphersuite. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_states
WHERE pool = ?1 AND state IN (0, 3, 4) AND suite = ?2
