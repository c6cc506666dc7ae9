-- The least that remembers what has to be remembered: which packages are free and in which order, what is reserved by
-- which id and until when, and which refs are spent.

CREATE TABLE pools (
    key INTEGER PRIMARY KEY,
    pool BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE packages (
    key INTEGER PRIMARY KEY,
    pool INTEGER NOT NULL,
    ref BLOB NOT NULL,
    suite INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    credential BLOB NOT NULL,
    -- 0 free, 1 reserved, 2 spent
    state INTEGER NOT NULL,
    id BLOB,
    -- When the reservation ends or, once spent, when that was.
    at INTEGER,
    bytes BLOB
) STRICT;

-- The oldest free package of a pool.
CREATE INDEX free ON packages (pool) WHERE state = 0;

-- A package by its ref, spent or not: nothing is stored twice.
CREATE UNIQUE INDEX refs ON packages (pool, ref);
