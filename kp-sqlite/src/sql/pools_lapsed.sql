-- SWEEP-2: the pools of leases and windows that have ended, the most overdue first, from a place on.
-- Parameters: 1 now, 2 the end and 3 the key to go on after, 4 how many. Result: the end and the key of each, and its
-- pool's id.
SELECT l.lapses_at, l.key, p.pool
FROM keypackage_pool_leases AS l INDEXED BY keypackage_pool_lapses
JOIN keypackage_pools AS p ON p.key = l.pool
WHERE l.lapses_at <= ?1 AND (l.lapses_at, l.key) > (?2, ?3)
ORDER BY l.lapses_at, l.key
LIMIT ?4
