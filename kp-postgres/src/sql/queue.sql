-- RES-2: finds the first free records, from the head of the pool on. What has expired is passed over.
-- Parameters: 1 pools, 2 sequences behind which to begin, 3 moments, 4 how many, 5 whether the bytes are wanted.
-- Result: number of the look-up, the record, its bytes, the head.
SELECT w.n, {record}, CASE WHEN w.whole THEN p.bytes END, h.head
FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[]) WITH ORDINALITY
    AS w (pool, after, moment, wanted, whole, n)
CROSS JOIN LATERAL {pool} AS q
CROSS JOIN LATERAL {head} AS h
CROSS JOIN LATERAL (
    SELECT free.*
    FROM {schema}.keypackage_pool_packages AS free
    WHERE
        free.pool = q.key AND free.seq > greatest(w.after, h.head - 1) AND free.state = 0 AND free.not_after > w.moment
        AND NOT EXISTS (
            SELECT FROM {schema}.keypackage_pool_leases AS taken WHERE taken.pool = free.pool AND taken.seq = free.seq OFFSET 0
        )
    ORDER BY free.seq
    LIMIT w.wanted
) AS p
CROSS JOIN (SELECT {no_lease}) AS l
ORDER BY w.n, p.seq
