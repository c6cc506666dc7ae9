-- SWEEP-1: lists pools in which a record may have expired, after a position, the oldest bound first.
-- Parameters: 1 now, 2 the bound and 3 the key to go on after, 4 how many. Result: the bound and the key of each, and its id.
SELECT next_expiry, key, pool
FROM keypackage_pools INDEXED BY keypackage_pools_expiry
WHERE next_expiry <= ?1 AND (next_expiry, key) > (?2, ?3)
ORDER BY next_expiry, key
LIMIT ?4
