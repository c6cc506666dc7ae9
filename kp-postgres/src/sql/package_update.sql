-- SPEND-4, LAST-1, DEL-3: brings records to another state, and drops the bytes and the support that the state does not keep.
-- Parameters: 1 keys of pools, 2 sequences, 3 states, 4 ids, 5 former ids, 6 times spent, 7 spenders, 8 groups, 9 whether the bytes
-- are kept.
UPDATE {schema}.keypackage_pool_packages AS p
SET
    state = w.state,
    id = w.id,
    former_id = w.former_id,
    spent_at = w.spent_at,
    spender = w.spender,
    group_id = w.group_id,
    support = CASE WHEN w.keeps_bytes THEN p.support END,
    bytes = CASE WHEN w.keeps_bytes THEN p.bytes END
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bytea[], $8::bytea[], $9::boolean[]
) AS w (pool, seq, state, id, former_id, spent_at, spender, group_id, keeps_bytes)
WHERE p.pool = w.pool AND p.seq = w.seq
