-- SAVE-8, DEL-2, DEL-3: finds the one-time packages that are free or reserved, and have not expired.
-- Parameters: 1 pools, 2 moments.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY AS w (pool, moment, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL {head} AS h
CROSS JOIN LATERAL (
    SELECT *
    FROM {schema}.keypackage_pool_packages
    WHERE pool = q.key AND seq >= h.head AND state = 0 AND not_after > w.moment
    OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
WHERE l.state IS NULL OR l.state <= 6
