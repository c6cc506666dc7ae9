-- READ-2: lists what is available, as if the pool were settled (TIME-2, RES-9), by sequence.
-- Parameters: 1 pool, 2 sequence behind which to begin, 3 now, 4 how many.
-- Result: 0, the record.
SELECT 0::bigint, {record}
FROM (SELECT $1::bytea AS pool) AS w
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL (
    SELECT *
    FROM {schema}.keypackage_pool_packages
    WHERE
        pool = q.key AND seq > greatest($2::bigint, q.head - 1) AND state = 0
        AND not_before <= $3::bigint AND not_after > $3
    ORDER BY seq
    OFFSET 0
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
WHERE l.state IS NULL OR (l.state = 3 AND l.ends_at <= $3)
ORDER BY p.seq
LIMIT $4::bigint
