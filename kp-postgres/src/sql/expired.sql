-- SWEEP-1: finds the first expired records.
-- Parameters: 1 pools, 2 sequences behind which to begin, 3 moments, 4 how many.
-- Result: number of the look-up, the record.
SELECT w.n, {record}
FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS w (pool, after, moment, wanted, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT *
    FROM {schema}.keypackage_pool_packages
    WHERE pool = q.key AND seq > w.after AND not_after <= w.moment
    ORDER BY seq
    LIMIT w.wanted
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
ORDER BY w.n, p.seq
