-- Reads on which page the mark is. (sqlite_schema has no index: this scans the names of the tables.)
-- Result: none or one row; 0 when somebody else has made a view of this name.
SELECT rootpage
FROM sqlite_schema
WHERE name = 'keypackage_pool_log'
