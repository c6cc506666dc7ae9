-- LAST-1: finds the last-resort packages in their slots.
-- Parameters: 1 pools.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[]) WITH ORDINALITY AS w (pool, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool + 3 = q.key + 3 AND in_slot OFFSET 0
) AS p
CROSS JOIN (SELECT {no_lease}) AS l
