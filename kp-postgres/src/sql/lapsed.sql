-- TIME-2: finds the records whose lease or window has ended. None ends before settle_at; the index holds dead entries there.
-- Parameters: 1 pools, 2 moments.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY AS w (pool, moment, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT *
    FROM {schema}.keypackage_pool_leases
    WHERE pool + 1 = q.key + 1 AND ends_at >= q.settle_at AND ends_at <= w.moment
    OFFSET 0
) AS l
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND seq = l.seq OFFSET 0
) AS p
