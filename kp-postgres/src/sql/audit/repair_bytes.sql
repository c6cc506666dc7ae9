-- SPEND-4, RES-3: drops the bytes and the support of what is spent.
-- Parameters: 1 pool.
UPDATE {schema}.keypackage_pool_packages AS p
SET bytes = NULL, support = NULL
FROM {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea AND p.pool = q.key AND p.state >= 9 AND (p.bytes IS NOT NULL OR p.support IS NOT NULL)
