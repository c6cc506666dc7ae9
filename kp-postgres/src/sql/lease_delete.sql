-- TIME-2, REL-1, SPEND-2: deletes leases and windows.
-- Parameters: 1 keys of pools, 2 sequences.
DELETE FROM {schema}.keypackage_pool_leases AS l
USING unnest($1::bigint[], $2::bigint[]) AS w (pool, seq)
WHERE l.pool = w.pool AND l.seq = w.seq
