-- RES-7: counts the leases and windows of parties.
-- Parameters: 1 pools, 2 parties.
-- Result: number of the look-up, count.
SELECT w.n, taken.count
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS w (pool, party, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT count(*)
    FROM {schema}.keypackage_pool_leases AS l
    WHERE l.pool + 1 = q.key + 1 AND l.ends_at >= q.settle_at AND l.reserver = w.party
) AS taken
