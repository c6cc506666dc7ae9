-- SWEEP-2: lists the lapsed leases and windows after a position, the oldest lapse first, with their pools.
-- Parameters: 1 now, 2 the lapse and 3 the key to go on after, 4 how many. Result: the lapse and the key of each, and its
-- pool's id.
SELECT l.lapses_at, l.key, p.pool
FROM keypackage_pool_leases AS l INDEXED BY keypackage_pool_lapses
JOIN keypackage_pools AS p ON p.key = l.pool
WHERE l.lapses_at <= ?1 AND (l.lapses_at, l.key) > (?2, ?3)
ORDER BY l.lapses_at, l.key
LIMIT ?4
