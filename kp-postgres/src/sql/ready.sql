-- READ-2, LAST-2: lists what may be handed out: free, leased and to return, or in a slot.
-- Parameters: 1 pool.
-- Result: 0, the record.
SELECT 0::bigint, {record}
FROM (SELECT $1::bytea AS pool) AS w
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key AND state <= 2 ORDER BY seq OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
WHERE l.state IS NULL OR l.state = 3
ORDER BY p.seq
