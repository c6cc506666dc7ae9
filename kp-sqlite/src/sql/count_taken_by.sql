-- RES-7: counts the live leases and windows of a party.
-- Parameters: 1 the pool's key, 2 the party. Result: one row.
SELECT count(*)
FROM keypackage_pool_leases INDEXED BY keypackage_pool_lease_ids
WHERE pool = ?1 AND reserver = ?2
