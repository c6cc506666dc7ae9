-- RES-4, CLAIM-1, SPEND-4: writes leases and windows.
-- Parameters: 1 keys of pools, 2 sequences, 3 states, 4 ids, 5 ends, 6 reservers, 7 times spent, 8 spenders, 9 groups.
INSERT INTO {schema}.keypackage_pool_leases (pool, seq, state, id, ends_at, reserver, spent_at, spender, group_id)
SELECT pool, seq, state, id, ends_at, reserver, spent_at, spender, group_id
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bytea[], $9::bytea[]
) AS w (pool, seq, state, id, ends_at, reserver, spent_at, spender, group_id)
ON CONFLICT (pool, seq) DO UPDATE
SET
    state = excluded.state,
    id = excluded.id,
    ends_at = excluded.ends_at,
    reserver = excluded.reserver,
    spent_at = excluded.spent_at,
    spender = excluded.spender,
    group_id = excluded.group_id
