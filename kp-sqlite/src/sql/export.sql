-- MOVE-1: reads all records of a pool, with all that is kept beside them.
-- Parameters: 1 the pool's key. Result: records, their bytes, support and fingerprint, in no order.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id,
       p.bytes, p.support, p.fingerprint
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_queue
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1
