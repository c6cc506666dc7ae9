-- RES-5, CLAIM-1: reads the bytes of records.
-- Parameters: 1 pools, 2 sequences.
-- Result: number of the look-up, the record, its bytes.
SELECT w.n, {record}, p.bytes
FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY AS w (pool, seq, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND seq = w.seq OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
