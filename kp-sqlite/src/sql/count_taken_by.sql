-- RES-7: what a party has taken, among the live leases and windows.
-- Parameters: 1 the pool's key, 2 the party. Result: one row.
SELECT count(*)
FROM keypackage_pool_packages INDEXED BY keypackage_pool_leases
WHERE pool = ?1 AND ends_at IS NOT NULL AND reserver = ?2
