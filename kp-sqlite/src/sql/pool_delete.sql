-- Deletes the row of an empty pool (READ-5).
-- Parameters: 1 the pool's key.
DELETE FROM keypackage_pools
WHERE key = ?1
