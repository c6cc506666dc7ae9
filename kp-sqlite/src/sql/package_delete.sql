-- Forgets a record (SAVE-7), with its lease.
-- Parameters: 1 its key.
DELETE FROM keypackage_pool_packages
WHERE key = ?1
