-- READ-2, TIME-2: what is available, or would be if the pool were settled now.
-- Parameters: 1 the pool's key, 2 the sequence to go on after, 3 now, 4 how many. Result: records, by sequence.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_free
WHERE p.pool = ?1 AND p.state = 0 AND p.key > ?2
    AND p.not_before <= ?3 AND p.not_after > ?3
UNION ALL
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_leases
WHERE p.pool = ?1 AND p.state = 3 AND p.ends_at <= ?3 AND p.key > ?2
    AND p.not_before <= ?3 AND p.not_after > ?3
ORDER BY 1
LIMIT ?4
