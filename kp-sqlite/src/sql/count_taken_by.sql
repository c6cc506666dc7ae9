-- RES-7: what a party has taken, among the live leases and windows.
-- Parameters: 1 the pool's key, 2 the party. Result: one row.
SELECT count(*)
FROM keypackage_pool_leases INDEXED BY keypackage_pool_lease_ids
WHERE pool = ?1 AND reserver = ?2
