-- SWEEP-2: pools in which a lease or window may have ended, the most overdue first.
-- Parameters: 1 now, 2 how many. Result: pool ids.
SELECT pool
FROM keypackage_pools INDEXED BY keypackage_pools_to_settle
WHERE settle_at <= ?1
ORDER BY settle_at
LIMIT ?2
