-- Reads the number of the last migration.
-- Parameters: 1 of which tables.
-- Result: one row; NULL when there was none.
SELECT max(version)
FROM keypackage_pool_schema
WHERE tables = ?1
