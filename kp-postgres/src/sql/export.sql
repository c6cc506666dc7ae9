-- MOVE-1: reads all records of a pool, with all that is kept beside them.
-- Parameters: 1 pool.
-- Result: 0, the record, its bytes.
SELECT 0::bigint, {record}, p.bytes
FROM (SELECT $1::bytea AS pool) AS w
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.keypackage_pool_packages WHERE pool = q.key OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
