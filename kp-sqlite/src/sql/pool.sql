-- Reads the row of a pool.
-- Parameters: 1 the pool id. Result: none or one row.
SELECT key, records, last_sequence, credential, next_expiry, unspent_from
FROM keypackage_pools
WHERE pool = ?1
