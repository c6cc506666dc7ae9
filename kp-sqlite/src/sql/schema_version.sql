-- The last migration that was applied.
-- Result: one row; NULL when there was none.
SELECT max(version)
FROM keypackage_pool_schema
