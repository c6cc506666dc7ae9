-- RES-2: reads the highest sequence of the table.
-- Result: one row; NULL when it is empty.
SELECT max(key)
FROM keypackage_pool_packages
