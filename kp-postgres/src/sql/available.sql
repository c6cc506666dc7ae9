-- READ-2: lists what is available, as if the pool were settled (TIME-2, RES-9), by sequence.
-- Parameters: 1 pool, 2 sequence behind which to begin, 3 now, 4 how many.
-- Result: 0, the record.
SELECT 0::bigint, {record}
FROM (SELECT $1::bytea AS pool, $3::bigint AS moment) AS w
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL {head} AS h
CROSS JOIN LATERAL (
    SELECT free.*
    FROM {schema}.keypackage_pool_packages AS free
    WHERE
        free.pool = q.key AND free.seq > greatest($2::bigint, h.head - 1) AND free.state = 0
        AND free.not_before <= $3 AND free.not_after > $3
        AND NOT EXISTS (
            SELECT
            FROM {schema}.keypackage_pool_leases AS taken
            WHERE taken.pool = free.pool AND taken.seq = free.seq AND NOT (taken.state = 3 AND taken.ends_at <= $3)
            OFFSET 0
        )
    ORDER BY free.seq
    LIMIT $4::bigint
) AS p
LEFT JOIN LATERAL {lease} AS l ON true
ORDER BY p.seq
