-- Creates the tables of a server's pools: pools, their KeyPackages, and the leases on these.
--
-- The cost of a commit is the number of pages that it changes. Leases are short rows, and few are alive at a time: the
-- leases of all pools share pages. The row of a KeyPackage, on a page of its pool, is written when the KeyPackage is
-- saved and when it is spent.

CREATE TABLE keypackage_pools (
    key INTEGER PRIMARY KEY,
    pool BLOB NOT NULL UNIQUE CHECK (length(pool) BETWEEN 1 AND 255),
    -- The number of the pool's rows in keypackage_pool_packages. The pool is deleted with its last record.
    records INTEGER NOT NULL CHECK (records > 0),
    -- The highest sequence that the pool ever gave out (RES-2).
    last_sequence INTEGER NOT NULL,
    -- The credential hash of the pool's first KeyPackage. A KeyPackage with another hash carries its own.
    credential BLOB NOT NULL CHECK (length(credential) = 32),
    -- No record of the pool expires before this moment (SWEEP-1). A lower bound: it may be too early, never too late.
    next_expiry INTEGER NOT NULL,
    -- No KeyPackage of the pool below this sequence is in state 0, nor will be (COST-1). A lower bound.
    unspent_from INTEGER NOT NULL
) STRICT;

-- SWEEP-1: the pools in which records have expired.
CREATE INDEX keypackage_pools_expiry ON keypackage_pools (next_expiry);

CREATE TABLE keypackage_pool_packages (
    -- The KeyPackage's sequence (RES-2): higher than any that its pool, or this table, had before.
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
    -- A row of keypackage_pool_leases, if the KeyPackage has one, overrides this state. This one then is the state before
    -- the lease, or, once the bytes are dropped, the state after it.
    --  0 free
    --  1 last resort in its slot          2 the same, used
    --  9 used          10 retired        11 withdrawn
    -- 12 last resort, withdrawn          13 last resort, replaced
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2 OR state BETWEEN 9 AND 13),
    -- The reservation that is bound to the KeyPackage (RES-5).
    id BLOB CHECK (length(id) = 16),
    -- The reservation that used the KeyPackage, if it has since been bound to another one (SPEND-3).
    former_id BLOB CHECK (length(former_id) = 16),
    spent_at INTEGER CHECK ((spent_at IS NOT NULL) = (state >= 9)),
    spender BLOB CHECK (length(spender) BETWEEN 1 AND 64),
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255),
    -- NULL: dropped (SPEND-4, LAST-1). The last column, so that reading the others does not read past it.
    bytes BLOB CHECK (length(bytes) BETWEEN 1 AND 65535)
) STRICT;

-- RES-2: the KeyPackages of a pool, by sequence. No state is part of it, so that no change of state writes to it.
CREATE INDEX keypackage_pool_queue ON keypackage_pool_packages (pool);

-- LAST-1: the slots.
CREATE INDEX keypackage_pool_slots ON keypackage_pool_packages (pool) WHERE state IN (1, 2);

-- RES-5: within a pool, a reservation is bound to one KeyPackage. This index is of spent ones, keypackage_pool_lease_ids
-- of leased ones.
CREATE UNIQUE INDEX keypackage_pool_spent_ids ON keypackage_pool_packages (pool, id) WHERE id IS NOT NULL;

-- The few candidates for a ref, which is a hash: three bytes of it tell as much as all. The row itself decides.
CREATE INDEX keypackage_pool_refs ON keypackage_pool_packages (pool, substr(ref, 1, 3));

-- Finds what has not expired without reading what has, and the reverse (SAVE-6, SWEEP-1, COST-1).
CREATE INDEX keypackage_pool_expiry ON keypackage_pool_packages (pool, not_after);

-- A lease, or the window after a use in which the reserver is remembered or a claim may be repeated.
CREATE TABLE keypackage_pool_leases (
    -- keypackage_pool_packages.key
    key INTEGER PRIMARY KEY,
    -- keypackage_pools.key
    pool INTEGER NOT NULL,
    -- 3 reserved                         4 reserved, retired at its lapse
    -- 5 reserved, retired meanwhile      6 reserved, withdrawn meanwhile
    -- 7 used, its reserver remembered    8 claimed, its bytes kept
    state INTEGER NOT NULL CHECK (state BETWEEN 3 AND 8),
    -- The reservation that is bound to the KeyPackage (RES-5).
    id BLOB NOT NULL CHECK (length(id) = 16),
    lapses_at INTEGER NOT NULL CHECK (lapses_at >= 0),
    reserver BLOB CHECK (length(reserver) BETWEEN 1 AND 64),
    spent_at INTEGER CHECK ((spent_at IS NOT NULL) = (state >= 7)),
    spender BLOB CHECK (length(spender) BETWEEN 1 AND 64),
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255)
) STRICT;

CREATE UNIQUE INDEX keypackage_pool_lease_ids ON keypackage_pool_leases (pool, id);

-- SWEEP-2: leases and windows of all pools, by their lapse.
CREATE INDEX keypackage_pool_lapses ON keypackage_pool_leases (lapses_at);

-- Deletes the lease of a KeyPackage that is deleted.
CREATE TRIGGER keypackage_pool_lease_deleted AFTER DELETE ON keypackage_pool_packages
BEGIN
    DELETE FROM keypackage_pool_leases WHERE key = old.key;
END;
