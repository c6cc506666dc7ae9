-- Lists the columns of the older table, if there is one. (This scans a table-valued pragma of about ten columns.)
-- Result: their names.
SELECT name
FROM pragma_table_info('keypackages')
