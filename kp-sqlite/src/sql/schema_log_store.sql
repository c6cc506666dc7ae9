-- Stores the mark.
-- Parameters: 1 the mark.
INSERT INTO keypackage_pool_log (key, mark)
VALUES (1, ?1)
ON CONFLICT (key) DO UPDATE
SET mark = ?1
