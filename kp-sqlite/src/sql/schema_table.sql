-- Whether the file holds pools already. (sqlite_schema has no index: a scan of it is a scan of a few names.)
-- Result: one row, 0 or 1.
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'keypackage_pool_schema')
