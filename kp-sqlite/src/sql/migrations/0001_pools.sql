-- Pools, their packages, and the bytes of those apart.
--
-- A package row is narrow, and its bytes are in a table of their own: a change of state rewrites no bytes. Both grow at
-- their end, where a page is filled to the brim. No index repeats what 32 bytes of a hash would cost it.

CREATE TABLE keypackage_pools (
    key INTEGER PRIMARY KEY,
    pool BLOB NOT NULL UNIQUE CHECK (length(pool) BETWEEN 1 AND 255),
    -- How many rows it has in keypackage_pool_packages; the pool goes with its last.
    records INTEGER NOT NULL CHECK (records > 0),
    -- The highest sequence that it ever gave out (RES-2).
    last_sequence INTEGER NOT NULL,
    -- The credential hash of its first package. Those with another carry their own.
    credential BLOB NOT NULL CHECK (length(credential) = 32),
    -- No record of the pool is past its not_after before this moment (SWEEP-1).
    sweep_at INTEGER NOT NULL,
    -- No lease or window of the pool ends before this moment; NULL when there is none (TIME-2).
    settle_at INTEGER
) STRICT;

-- SWEEP-1: the pools to sweep.
CREATE INDEX keypackage_pools_to_sweep ON keypackage_pools (sweep_at);

-- SWEEP-2: the pools to settle.
CREATE INDEX keypackage_pools_to_settle ON keypackage_pools (settle_at) WHERE settle_at IS NOT NULL;

CREATE TABLE keypackage_pool_packages (
    -- The package's sequence (RES-2): higher than any that its pool, or this table, had before.
    key INTEGER PRIMARY KEY,
    -- keypackage_pools.key
    pool INTEGER NOT NULL,
    ref BLOB NOT NULL CHECK (length(ref) BETWEEN 1 AND 64),
    -- 23 bits of a hash of the ref: what the index of refs holds in its place.
    tag INTEGER NOT NULL,
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
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255)
) STRICT;

-- The queue of free packages by sequence (RES-2), the slots (LAST-1), and leases and windows by their end (TIME-2): each
-- state is a range of its own, so that no other slows it.
CREATE INDEX keypackage_pool_states ON keypackage_pool_packages (pool, state, ends_at);

-- RES-5: an id is bound to one package of its pool.
CREATE UNIQUE INDEX keypackage_pool_bound ON keypackage_pool_packages (pool, id) WHERE id IS NOT NULL;

-- A ref's few candidates; the row itself says which it is.
CREATE INDEX keypackage_pool_refs ON keypackage_pool_packages (pool, tag);

-- What is not past its not_after, without reading what is; and the reverse (SAVE-6, SWEEP-1, COST-1).
CREATE INDEX keypackage_pool_expiry ON keypackage_pool_packages (pool, not_after);

CREATE TABLE keypackage_pool_bytes (
    -- keypackage_pool_packages.key
    key INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL CHECK (length(bytes) BETWEEN 1 AND 65535)
) STRICT;
