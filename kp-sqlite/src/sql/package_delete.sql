-- Deletes a record (SAVE-7). A trigger deletes its lease.
-- Parameters: 1 its key.
DELETE FROM keypackage_pool_packages
WHERE key = ?1
