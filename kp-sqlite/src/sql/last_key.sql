-- RES-2: the highest sequence of the whole table.
-- Result: one row; NULL when it is empty.
SELECT max(key)
FROM keypackage_pool_packages
