-- SAVE-6: counts what is held of a ciphersuite (free, or reserved and not recalled) in a pool without expired records.
-- Parameters: 1 the pool's key, 2 the ciphersuite, 3 the sequence below which nothing is unspent. Result: one row: the
-- count, and the lowest sequence of the unspent records of any ciphersuite.
SELECT count(*) FILTER (WHERE p.suite = ?2 AND (l.key IS NULL OR l.state IN (3, 4))), min(p.key)
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_queue
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.key >= ?3 AND p.state = 0
