-- RES-2, RES-3: reads a chunk of the queue as queue.sql does, with what the packages support.
-- Parameters: 1 the pool's key, 2 the sequence to begin with. Result: records, their bytes and their support, by
-- sequence.
-- The LIMIT is a constant: SQLite would prepare the statement again whenever a LIMIT is bound.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id,
       p.bytes, p.support
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_queue
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.pool = ?1 AND p.key >= ?2
ORDER BY p.key
LIMIT 32
