-- Lists the indexes and triggers of a schema, but those that SQLite makes of itself.
-- Result: kinds, names, and how each is made. (sqlite_schema has no index: this scans it.)
SELECT type, name, sql
FROM sqlite_schema
WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
