-- Reads the mark.
-- Result: none or one row.
SELECT mark
FROM keypackage_pool_log
WHERE key = 1
