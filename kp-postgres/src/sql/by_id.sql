-- RES-5: finds the records that reservations are bound to.
-- Parameters: 1 pools, 2 ids.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS w (pool, id, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT leased.seq FROM {schema}.keypackage_pool_leases AS leased WHERE leased.pool + 1 = q.key + 1 AND leased.id = w.id
    UNION ALL
    SELECT spent.seq FROM {schema}.keypackage_pool_packages AS spent WHERE spent.pool + 2 = q.key + 2 AND spent.id = w.id
) AS found
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND seq = found.seq OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
