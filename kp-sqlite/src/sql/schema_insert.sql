-- Notes a migration, within its transaction.
-- Parameters: 1 its number.
INSERT INTO keypackage_pool_schema (version)
VALUES (?1)
