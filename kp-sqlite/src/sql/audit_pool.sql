-- Counts what is wrong with the rows of a pool: READ-5, SAVE-6, RES-2, SWEEP-1, COST-1, RES-1.
-- Parameters: 1 the pool's key. Result: one row of counts, in the order of audit.rs.
SELECT
    NOT EXISTS (SELECT 1 FROM keypackage_pool_packages WHERE pool = q.key),
    q.records <> (SELECT count(*) FROM keypackage_pool_packages WHERE pool = q.key),
    coalesce(q.last_sequence < (SELECT max(key) FROM keypackage_pool_packages WHERE pool = q.key), 0),
    coalesce(q.next_expiry > (SELECT min(not_after) FROM keypackage_pool_packages WHERE pool = q.key), 0),
    coalesce(q.unspent_from > (SELECT min(key) FROM keypackage_pool_packages WHERE pool = q.key AND state = 0), 0),
    (
        SELECT count(*) FROM keypackage_pool_leases AS l
        WHERE l.pool = q.key AND NOT EXISTS (SELECT 1 FROM keypackage_pool_packages WHERE key = l.key)
    ),
    (
        SELECT count(*) FROM keypackage_pool_leases AS l JOIN keypackage_pool_packages AS p ON p.key = l.key
        WHERE l.pool = q.key AND (p.pool <> l.pool OR p.state <> iif(l.state = 7, 9, 0))
    )
FROM keypackage_pools AS q
WHERE q.key = ?1
