-- Updates the row of a pool.
-- Parameters: 1 the pool's key, 2 records, 3 last_sequence, 4 next_expiry, 5 unspent_from.
UPDATE keypackage_pools
SET records = ?2, last_sequence = ?3, next_expiry = ?4, unspent_from = ?5
WHERE key = ?1
