-- RES-5: reads the record that an id is bound to.
-- Parameters: 1 the pool's key, 2 the id. Result: none or one record.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential,
       p.state, p.id, p.former_id, p.spent_at, p.spender, p.group_id,
       l.state, l.id, l.lapses_at, l.reserver, l.spent_at, l.spender, l.group_id
FROM keypackage_pool_packages AS p
LEFT JOIN keypackage_pool_leases AS l ON l.key = p.key
WHERE p.key = ifnull(
    (SELECT key FROM keypackage_pool_leases INDEXED BY keypackage_pool_lease_ids WHERE pool = ?1 AND id = ?2),
    (SELECT key FROM keypackage_pool_packages INDEXED BY keypackage_pool_spent_ids WHERE pool = ?1 AND id = ?2)
)
