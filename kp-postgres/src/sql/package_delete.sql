-- SAVE-7, SWEEP-1: deletes records.
-- Parameters: 1 keys of pools, 2 sequences.
DELETE FROM {schema}.keypackage_pool_packages AS p
USING unnest($1::bigint[], $2::bigint[]) AS w (pool, seq)
WHERE p.pool = w.pool AND p.seq = w.seq
