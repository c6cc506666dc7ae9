-- Reads whether a name is taken. (sqlite_schema has no index: this scans the names of the tables.)
-- Parameters: 1 the name. Result: one row, 0 or 1.
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE)
