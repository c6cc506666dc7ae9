-- RES-2: the head of the queue, whether it fits or not, with the bytes.
-- Parameters: 1 the pool's key, 2 how many. Result: records and their bytes, by sequence.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id, b.bytes
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_states
LEFT JOIN keypackage_pool_bytes AS b ON b.key = p.key
WHERE p.pool = ?1 AND p.state = 0 AND p.ends_at IS NULL
ORDER BY p.key
LIMIT ?2
