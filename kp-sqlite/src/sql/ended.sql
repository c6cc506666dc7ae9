-- TIME-2: the leases and windows that have ended.
-- Parameters: 1 the pool's key, 2 now. Result: records, in no order.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_leases
WHERE p.pool = ?1 AND p.ends_at <= ?2
