-- Drops the older client table, with its keys.
DROP TABLE keypackages
