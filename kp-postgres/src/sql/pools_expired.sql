-- SWEEP-1: lists the pools in which records may have expired.
-- Parameters: 1 now, 2 bound and 3 key behind which to begin, 4 how many.
-- Result: bound, key, pool.
SELECT sweep_at, key, pool
FROM {schema}.keypackage_pools
WHERE sweep_at <= $1::bigint AND (sweep_at, key) > ($2::bigint, $3::bigint)
ORDER BY sweep_at, key
LIMIT $4::bigint
