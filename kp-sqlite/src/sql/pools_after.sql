-- READ-5, DEL-2: lists the pools after a pool.
-- Parameters: 1 the pool id to go on after (empty: from the first), 2 how many. Result: pool ids, bytewise.
SELECT pool
FROM keypackage_pools
WHERE pool > ?1
ORDER BY pool
LIMIT ?2
