-- SAVE-6, RES-2: writes the rows of pools.
-- Parameters: 1 keys, 2 records, 3 last sequences, 4 credentials, 5 sweep_at, 6 settle_at.
UPDATE {schema}.keypackage_pools AS q
SET
    records = w.records,
    last_sequence = w.last_sequence,
    credential = w.credential,
    sweep_at = w.sweep_at,
    settle_at = w.settle_at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[])
    AS w (key, records, last_sequence, credential, sweep_at, settle_at)
WHERE q.key = ANY ($1) AND q.key = w.key
