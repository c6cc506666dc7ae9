-- What a step changed of its pool's row.
-- Parameters: 1 the pool's key, 2 records, 3 last_sequence, 4 sweep_at, 5 settle_at.
UPDATE keypackage_pools
SET records = ?2, last_sequence = ?3, sweep_at = ?4, settle_at = ?5
WHERE key = ?1
