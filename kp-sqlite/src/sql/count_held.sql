-- SAVE-6: what counts towards the cap of a ciphersuite, in a pool in which nothing is past its not_after: what is free,
-- and what is reserved and not recalled.
-- Parameters: 1 the pool's key, 2 the ciphersuite, 3 the sequence below which nothing is unspent. Result: one row: how
-- many, and the lowest sequence of what is unspent, of any ciphersuite.
SELECT count(*) FILTER (WHERE p.suite = ?2 AND (l.key IS NULL OR l.state IN (3, 4))), min(p.key)
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_queue
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.key >= ?3 AND p.state = 0
