-- RES-2: the head of the queue, whether it fits or not, with the bytes.
-- Parameters: 1 the pool's key. Result: records and their bytes, by sequence.
-- How many is written here, since SQLite prepares a statement again whenever its LIMIT is bound.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id, p.bytes
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_free
WHERE p.pool = ?1 AND p.state = 0
ORDER BY p.key
LIMIT 32
