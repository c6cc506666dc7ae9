-- SAVE-8, DEL-2, DEL-3: the one-time packages that are free or reserved, and not past their not_after.
-- Parameters: 1 the pool's key, 2 now. Result: records, by sequence.
SELECT p.key, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id
FROM keypackage_pool_packages AS p INDEXED BY keypackage_pool_expiry
WHERE p.pool = ?1 AND p.not_after > ?2 AND p.state IN (0, 3, 4, 5, 6)
ORDER BY p.key
