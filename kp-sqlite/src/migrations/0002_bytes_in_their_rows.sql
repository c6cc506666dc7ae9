-- The bytes of a package move into its row, and what changes with its state into indexes of its own.
--
-- What a commit costs is the pages that it touches. A reservation touches the row, the queue, the leases and the bindings;
-- a spend the row, whose bytes go with it, and the leases: of which there are few, so that their pages are shared. A
-- change of state writes the bytes again, which is dear only where they are longer than a page.

CREATE TABLE keypackage_pool_packages_2 (
    -- The package's sequence (RES-2): higher than any that its pool, or this table, had before.
    key INTEGER PRIMARY KEY,
    -- keypackage_pools.key
    pool INTEGER NOT NULL,
    ref BLOB NOT NULL CHECK (length(ref) BETWEEN 1 AND 64),
    suite INTEGER NOT NULL CHECK (suite BETWEEN 0 AND 65535),
    not_before INTEGER NOT NULL CHECK (not_before >= 0),
    not_after INTEGER NOT NULL CHECK (not_after > not_before),
    saved_at INTEGER NOT NULL CHECK (saved_at >= 0),
    -- NULL: the pool's.
    credential BLOB CHECK (length(credential) = 32),
    --  0 free
    --  1 last resort in its slot          2 the same, used
    --  3 reserved                         4 reserved, retired at its lapse
    --  5 reserved, retired meanwhile      6 reserved, withdrawn meanwhile
    --  7 used, its reserver remembered    8 claimed, its bytes kept        (until ends_at)
    --  9 used
    -- 10 retired       11 withdrawn      12 last resort, withdrawn      13 last resort, replaced
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 13),
    -- The reservation that is bound to it (RES-5) ...
    id BLOB CHECK (length(id) = 16),
    -- ... and, when that was bound to another package since, the one that used it (SPEND-3).
    former_id BLOB CHECK (length(former_id) = 16),
    reserver BLOB CHECK (length(reserver) BETWEEN 1 AND 64),
    -- When its lease or window ends.
    ends_at INTEGER CHECK ((ends_at IS NOT NULL) = (state BETWEEN 3 AND 8)),
    spent_at INTEGER CHECK ((spent_at IS NOT NULL) = (state >= 7)),
    spender BLOB CHECK (length(spender) BETWEEN 1 AND 64),
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255),
    -- NULL: dropped (SPEND-4, LAST-1). The last column, so that reading the others does not read past it.
    bytes BLOB CHECK (length(bytes) BETWEEN 1 AND 65535)
) STRICT;

INSERT INTO keypackage_pool_packages_2
SELECT p.key, p.pool, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.reserver, p.ends_at, p.spent_at, p.spender, p.group_id, b.bytes
FROM keypackage_pool_packages AS p
LEFT JOIN keypackage_pool_bytes AS b ON b.key = p.key
ORDER BY p.key;

DROP TABLE keypackage_pool_bytes;

DROP TABLE keypackage_pool_packages;

ALTER TABLE keypackage_pool_packages_2 RENAME TO keypackage_pool_packages;

-- RES-2: the queue of free packages, by sequence.
CREATE INDEX keypackage_pool_free ON keypackage_pool_packages (pool) WHERE state = 0;

-- LAST-1: the slots.
CREATE INDEX keypackage_pool_slots ON keypackage_pool_packages (pool) WHERE state IN (1, 2);

-- TIME-2: leases and windows by their end.
CREATE INDEX keypackage_pool_leases ON keypackage_pool_packages (pool, ends_at) WHERE ends_at IS NOT NULL;

-- RES-5: an id is bound to one package of its pool.
CREATE UNIQUE INDEX keypackage_pool_bound ON keypackage_pool_packages (pool, id) WHERE id IS NOT NULL;

-- A ref's few candidates: it is a hash, and three bytes of it tell as much as all. The row itself says which it is.
CREATE INDEX keypackage_pool_refs ON keypackage_pool_packages (pool, substr(ref, 1, 3));

-- What is not past its not_after, without reading what is; and the reverse (SAVE-6, SWEEP-1, COST-1).
CREATE INDEX keypackage_pool_expiry ON keypackage_pool_packages (pool, not_after);
