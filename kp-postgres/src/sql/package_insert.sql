-- SAVE-1: stores new records.
-- Parameters: 1 keys of pools, 2 sequences, 3 refs, 4 ciphersuites, 5 not_before, 6 not_after, 7 saved_at, 8 credentials, 9 states,
-- 10 ids, 11 former ids, 12 times spent, 13 spenders, 14 groups, 15 support,
-- 16 fingerprints, 17 bytes.
INSERT INTO {schema}.keypackage_pool_packages (
    pool, seq, ref, suite, not_before, not_after, saved_at, credential, state, id, former_id, spent_at, spender, group_id,
    support, fingerprint, bytes
)
SELECT *
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[], $9::bigint[],
    $10::bytea[], $11::bytea[], $12::bigint[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[]
)
