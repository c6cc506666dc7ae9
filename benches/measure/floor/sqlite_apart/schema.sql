-- The same facts in the fewest pages: the row of a package is written when the package is saved and when it is spent, and the
-- leases of all pools lie together.

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
    -- The id that spent the package, and when.
    id BLOB,
    spent_at INTEGER,
    bytes BLOB
) STRICT;

-- The packages of a pool, in order, whatever became of them.
CREATE INDEX queue ON packages (pool);

-- A package by its ref, spent or not: nothing is stored twice.
CREATE UNIQUE INDEX refs ON packages (pool, ref);

CREATE TABLE leases (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
