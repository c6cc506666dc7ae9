-- RES-2, COST-1: reads the free and unexpired records of a pool: for a queue with many expired ones.
-- Parameters: 1 the pool's key, 2 now. Result: records, in no order.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_expiry
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.not_after > ?2 AND p.state = 0 AND l.key IS NULL
