-- READ-4, SAVE-5, SPEND-2: finds records by ref.
-- Parameters: 1 pools, 2 refs, 3 whether the bytes are wanted.
-- Result: number of the look-up, the record, its bytes.
SELECT w.n, {record}, CASE WHEN w.whole THEN p.bytes END
FROM unnest($1::bytea[], $2::bytea[], $3::boolean[]) WITH ORDINALITY AS w (pool, ref, whole, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool + 1 = q.key + 1 AND ref = w.ref OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
