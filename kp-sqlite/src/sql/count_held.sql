-- SAVE-6: what counts towards the cap of a ciphersuite, in a pool in which nothing is past its not_after: what is free,
-- and what is reserved and not recalled.
-- Parameters: 1 the pool's key, 2 the ciphersuite. Result: one row.
SELECT count(*) + (
    SELECT count(*)
    FROM keypackage_pool_packages INDEXED BY keypackage_pool_leases
    WHERE pool = ?1 AND ends_at IS NOT NULL AND state IN (3, 4) AND suite = ?2
)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_free
WHERE pool = ?1 AND state = 0 AND suite = ?2
