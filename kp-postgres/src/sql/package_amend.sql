-- SAVE-5: writes the support and the fingerprint of records that lacked one.
-- Parameters: 1 keys of pools, 2 sequences, 3 support, 4 fingerprints.
UPDATE {schema}.keypackage_pool_packages AS p
SET support = w.support, fingerprint = w.fingerprint
FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS w (pool, seq, support, fingerprint)
WHERE p.pool = w.pool AND p.seq = w.seq
