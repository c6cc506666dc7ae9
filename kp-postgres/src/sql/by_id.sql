-- RES-5: finds the records that reservations are bound to.
-- Parameters: 1 pools, 2 ids.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS w (pool, id, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT seq FROM {schema}.keypackage_pool_ids WHERE pool = q.key AND id = w.id OFFSET 0
) AS bound
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND seq = bound.seq OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
