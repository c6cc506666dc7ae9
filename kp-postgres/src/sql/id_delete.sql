-- REL-1, TIME-2, SWEEP-1: forgets what reservations were bound to.
-- Parameters: 1 keys of pools, 2 ids.
DELETE FROM {schema}.keypackage_pool_ids AS b
USING unnest($1::bigint[], $2::bytea[]) AS w (pool, id)
WHERE b.pool = w.pool AND b.id = w.id
