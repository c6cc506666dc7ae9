-- SPEND-4, LAST-1: the bytes of a record go.
-- Parameters: 1 its key.
DELETE FROM keypackage_pool_bytes
WHERE key = ?1
