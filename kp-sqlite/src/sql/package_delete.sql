-- Forgets a record (SAVE-7).
-- Parameters: 1 its key.
DELETE FROM keypackage_pool_packages
WHERE key = ?1
