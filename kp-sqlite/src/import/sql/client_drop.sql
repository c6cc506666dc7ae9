-- Drops the origin's client table, keys and all.
DROP TABLE keypackages
