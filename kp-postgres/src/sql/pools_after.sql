-- READ-5: lists pools.
-- Parameters: 1 pool behind which to begin, 2 how many.
-- Result: pool.
SELECT pool
FROM {schema}.keypackage_pools
WHERE pool > $1::bytea
ORDER BY pool
LIMIT $2::bigint
