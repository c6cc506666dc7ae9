-- RES-5: binds reservations to KeyPackages.
-- Parameters: 1 keys of pools, 2 sequences, 3 ids.
INSERT INTO {schema}.keypackage_pool_ids (pool, seq, id)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])
