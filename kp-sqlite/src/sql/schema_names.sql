-- Lists the names of a schema.
-- Result: names. (sqlite_schema has no index: this scans the names of the tables.)
SELECT name
FROM sqlite_schema
WHERE name NOT LIKE 'sqlite_%'
