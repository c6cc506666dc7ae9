-- SWEEP-1: lists pools in which a record may have expired, the oldest bound first.
-- Parameters: 1 now, 2 how many. Result: pool ids.
SELECT pool
FROM keypackage_pools INDEXED BY keypackage_pools_expiry
WHERE next_expiry <= ?1
ORDER BY next_expiry
LIMIT ?2
