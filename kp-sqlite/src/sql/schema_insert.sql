-- Records a migration, within its transaction.
-- Parameters: 1 of which tables, 2 its number.
INSERT INTO keypackage_pool_schema (tables, version)
VALUES (?1, ?2)
