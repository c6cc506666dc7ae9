-- Reads whether the file has a table of migrations. (sqlite_schema has no index: this scans the names of the tables.)
-- Result: one row, 0 or 1.
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'keypackage_pool_schema')
