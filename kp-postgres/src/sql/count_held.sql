-- SAVE-6: counts what ciphersuites hold: free or reserved, not recalled, not expired.
-- Parameters: 1 pools, 2 ciphersuites, 3 moments.
-- Result: number of the look-up, count.
SELECT w.n, held.count
FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS w (pool, suite, moment, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL {head} AS h
CROSS JOIN LATERAL (
    SELECT count(*)
    FROM {schema}.keypackage_pool_packages AS p
    LEFT JOIN LATERAL {lease} AS l ON true
    WHERE
        p.pool = q.key AND p.seq >= h.head AND p.state = 0 AND p.suite = w.suite AND p.not_after > w.moment
        AND (l.state IS NULL OR l.state <= 4)
) AS held
