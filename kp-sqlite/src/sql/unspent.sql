-- SAVE-8, DEL-2, DEL-3: reads the one-time packages that are free or reserved, and unexpired.
-- Parameters: 1 the pool's key, 2 now. Result: records, by sequence.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_expiry
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.not_after > ?2 AND p.state = 0 AND (l.key IS NULL OR l.state <= 6)
ORDER BY p.key
