-- SAVE-1: makes the pools that are not there, in the order of their names: with the order of lock.sql, no two transactions wait
-- for each other. Asks first, since an insert that conflicts uses up a key.
-- Parameters: 1 pools.
INSERT INTO {schema}.keypackage_pools (pool)
SELECT w.pool
FROM unnest($1::bytea[]) AS w (pool)
WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pools AS q WHERE q.pool = w.pool OFFSET 0)
ORDER BY w.pool
ON CONFLICT (pool) DO NOTHING
