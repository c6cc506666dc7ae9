-- SWEEP-2: lists the pools in which a lease or window has ended.
-- Parameters: 1 now, 2 bound and 3 key behind which to begin, 4 how many.
-- Result: bound, key, pool.
SELECT q.settle_at, q.key, q.pool
FROM {schema}.keypackage_pools AS q
WHERE
    q.settle_at <= $1::bigint AND (q.settle_at, q.key) > ($2::bigint, $3::bigint)
    AND EXISTS (
        SELECT FROM {schema}.keypackage_pool_leases AS l
        WHERE l.pool + 1 = q.key + 1 AND l.ends_at >= q.settle_at AND l.ends_at <= $1
        OFFSET 0
    )
ORDER BY q.settle_at, q.key
LIMIT $4::bigint
