-- Counts what is wrong with the rows of a pool: READ-5, SAVE-6, RES-2, SWEEP-1, SWEEP-2, COST-1, RES-1, RES-5.
-- Parameters: 1 pool.
-- Result: no row for a pool never seen; else one row of counts, in the order of audit.rs.
SELECT
    (NOT EXISTS (SELECT FROM {schema}.keypackage_pool_packages WHERE pool = q.key))::int::bigint,
    (q.records <> (SELECT count(*) FROM {schema}.keypackage_pool_packages WHERE pool = q.key))::int::bigint,
    coalesce(q.last_sequence < (SELECT max(seq) FROM {schema}.keypackage_pool_packages WHERE pool = q.key), false)::int::bigint,
    coalesce(q.sweep_at > (SELECT min(not_after) FROM {schema}.keypackage_pool_packages WHERE pool = q.key), false)::int::bigint,
    coalesce(q.settle_at > (SELECT min(ends_at) FROM {schema}.keypackage_pool_leases WHERE pool = q.key), false)::int::bigint,
    (
        SELECT count(*)
        FROM {schema}.keypackage_pool_heads AS h
        WHERE h.pool = q.key AND EXISTS (
            SELECT FROM {schema}.keypackage_pool_packages AS p
            WHERE p.pool = q.key AND p.seq < h.head AND p.state = 0 AND p.not_after > h.since
        )
    ),
    (
        SELECT count(*)
        FROM {schema}.keypackage_pool_leases AS l
        WHERE l.pool = q.key AND NOT EXISTS (
            SELECT FROM {schema}.keypackage_pool_packages AS p WHERE p.pool = l.pool AND p.seq = l.seq
        )
    ),
    (
        SELECT count(*)
        FROM {schema}.keypackage_pool_leases AS l
        JOIN {schema}.keypackage_pool_packages AS p ON p.pool = l.pool AND p.seq = l.seq
        WHERE l.pool = q.key AND p.state <> CASE WHEN l.state = 7 THEN 9 ELSE 0 END
    ),
    (
        SELECT count(*)
        FROM (
            SELECT seq, id FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND id IS NOT NULL
            UNION SELECT seq, id FROM {schema}.keypackage_pool_leases WHERE pool = q.key
        ) AS bound
        FULL JOIN (SELECT seq, id FROM {schema}.keypackage_pool_ids WHERE pool = q.key) AS kept USING (seq, id)
        WHERE bound IS NULL OR kept IS NULL
    )
FROM {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea
