-- READ-2, TIME-2: reads the available records, as if the pool were settled now.
-- Parameters: 1 the pool's key, 2 the sequence to go on after, 3 now, 4 how many. Result: records, by sequence.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_queue
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.state = 0 AND p.key > ?2
    AND p.not_before <= ?3 AND p.not_after > ?3
    AND (l.key IS NULL OR (l.state = 3 AND l.lapses_at <= ?3))
ORDER BY p.key
LIMIT ?4
