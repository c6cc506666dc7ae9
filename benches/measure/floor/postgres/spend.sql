-- Parameters: 1 pools, 2 ids, 3 refs, 4 now.
UPDATE floor_packages AS p SET state = 2, at = $4::bigint, bytes = NULL
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS w (pool, id, ref)
JOIN floor_pools AS q ON q.pool = w.pool
WHERE p.pool = q.key AND p.ref = w.ref AND p.id = w.id AND p.state = 1 AND $4 < p.at
