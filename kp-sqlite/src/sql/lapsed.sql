-- TIME-2: reads the records whose lease or window has lapsed.
-- Parameters: 1 the pool's key, 2 now. Result: records, in no order.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id
FROM keypackage_pool_leases AS l INDEXED BY keypackage_pool_lease_ids
JOIN keypackage_pool_packages AS p ON p.key = l.key
WHERE l.pool = ?1 AND l.lapses_at <= ?2
