-- RES-1: deletes the leases of a pool that have no KeyPackage, or one that is spent otherwise or a last resort. Nothing becomes free.
-- Parameters: 1 pool.
DELETE FROM {schema}.keypackage_pool_leases AS l
USING {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea AND l.pool = q.key AND coalesce(
    (
        SELECT p.state <> 0 AND NOT (p.state = 9 AND l.state = 7)
        FROM {schema}.keypackage_pool_packages AS p
        WHERE p.pool = l.pool AND p.seq = l.seq
    ),
    true
)
