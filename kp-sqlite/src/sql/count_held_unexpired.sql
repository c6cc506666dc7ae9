-- SAVE-6, COST-1: counts the same in a pool with expired records, without reading these.
-- Parameters: 1 the pool's key, 2 the ciphersuite, 3 now. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_expiry
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.not_after > ?3 AND p.state = 0 AND p.suite = ?2 AND (l.key IS NULL OR l.state IN (3, 4))
