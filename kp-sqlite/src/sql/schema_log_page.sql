-- Reads on which page the mark is. (sqlite_schema has no index: this scans the names of the tables.)
-- Result: none or one row.
SELECT rootpage
FROM sqlite_schema
WHERE type = 'table' AND name = 'keypackage_pool_log'
