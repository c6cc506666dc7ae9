-- COST-1: forgets where the queue of a pool begins: it is looked for anew.
-- Parameters: 1 pool.
DELETE FROM {schema}.keypackage_pool_heads AS h
USING {schema}.keypackage_pools AS q
WHERE q.pool = $1::bytea AND h.pool = q.key
