-- RES-7: what a party has taken, among the live leases and windows.
-- Parameters: 1 the pool's key, 2 the party. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_states
WHERE pool = ?1 AND state IN (3, 4, 5, 6, 7, 8) AND reserver = ?2
