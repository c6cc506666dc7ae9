-- Creates the tables of a server's pools: pools, their KeyPackages, the leases on these, and the reservations bound to them.
--
-- Whoever changes anything of a pool holds the lock of its row in keypackage_pools. The row itself is written seldom: its
-- bounds are lower bounds, so that a transaction that somebody holds open keeps few old versions of the row alive.
-- There are no foreign keys: each would lock the pool's row again.

CREATE TABLE {schema}.keypackage_pools (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool bytea NOT NULL UNIQUE CHECK (octet_length(pool) BETWEEN 1 AND 255),
    -- The number of the pool's rows in keypackage_pool_packages. The pool is deleted with its last record; 0 is seen by
    -- nobody but the transaction that makes the pool.
    records bigint NOT NULL DEFAULT 0 CHECK (records >= 0),
    -- The highest sequence that the pool gave out (RES-2).
    last_sequence bigint NOT NULL DEFAULT 0 CHECK (last_sequence >= 0),
    -- The credential hash of the pool's first KeyPackage. A KeyPackage with another hash carries its own.
    credential bytea NOT NULL DEFAULT '' CHECK (octet_length(credential) IN (0, 32)),
    -- No record of the pool expires before this moment (SWEEP-1).
    sweep_at bigint NOT NULL DEFAULT 9007199254740991,
    -- No lease or window of the pool ends before this moment (SWEEP-2).
    settle_at bigint NOT NULL DEFAULT 9007199254740991
) WITH (fillfactor = 50);

-- SWEEP-1: the pools in which records have expired.
CREATE INDEX keypackage_pools_expiry ON {schema}.keypackage_pools (sweep_at, key);

-- SWEEP-2: the pools in which leases may have ended.
CREATE INDEX keypackage_pools_lapses ON {schema}.keypackage_pools (settle_at, key);

-- COST-1: where the queue of a pool begins: from the moment `since` on, no KeyPackage below `head` is in state 0 and has not expired,
-- nor will be. A row of its own, since it is written often, and the pool's row is looked at by every statement.
CREATE TABLE {schema}.keypackage_pool_heads (
    -- keypackage_pools.key
    pool bigint PRIMARY KEY,
    head bigint NOT NULL,
    since bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE {schema}.keypackage_pool_packages (
    -- keypackage_pools.key
    pool bigint NOT NULL,
    -- The KeyPackage's sequence (RES-2): higher than any that its pool had before.
    seq bigint NOT NULL CHECK (seq > 0),
    ref bytea NOT NULL CHECK (octet_length(ref) BETWEEN 1 AND 64),
    suite integer NOT NULL CHECK (suite BETWEEN 0 AND 65535),
    not_before bigint NOT NULL CHECK (not_before >= 0),
    not_after bigint NOT NULL CHECK (not_after > not_before AND not_after <= 9007199254740991),
    saved_at bigint NOT NULL CHECK (saved_at BETWEEN 0 AND 9007199254740991),
    -- NULL: the pool's.
    credential bytea CHECK (octet_length(credential) = 32),
    -- A row of keypackage_pool_leases, if the KeyPackage has one, overrides this state. This one then is the state before
    -- the lease, or, once the bytes are dropped, the state after it.
    --  0 free
    --  1 last resort in its slot          2 the same, used
    --  9 used          10 retired        11 withdrawn
    -- 12 last resort, withdrawn          13 last resort, replaced
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 2 OR state BETWEEN 9 AND 13),
    -- The reservation that is bound to the KeyPackage (RES-5).
    id bytea CHECK (octet_length(id) = 16),
    -- The reservation that used the KeyPackage, if it has since been bound to another one (SPEND-3).
    former_id bytea CHECK (octet_length(former_id) = 16),
    spent_at bigint CHECK ((spent_at IS NOT NULL) = (state >= 9) AND spent_at BETWEEN 0 AND 9007199254740991),
    spender bytea CHECK (octet_length(spender) BETWEEN 1 AND 64),
    group_id bytea CHECK (octet_length(group_id) BETWEEN 1 AND 255),
    -- What the owner supports (RES-3): three bytes for each type, sorted. NULL: none, or gone with the bytes.
    support bytea CHECK (octet_length(support) BETWEEN 1 AND 2304),
    -- The fingerprint of the init key (SAVE-9). NULL: none. Stays as long as the row.
    fingerprint bytea CHECK (octet_length(fingerprint) = 8),
    -- NULL: dropped (SPEND-4, LAST-1).
    bytes bytea CHECK (octet_length(bytes) BETWEEN 1 AND 65535),
    -- A column of its own, since a one-time KeyPackage that changes its state must not change what is indexed.
    in_slot boolean GENERATED ALWAYS AS (state IN (1, 2)) STORED,
    CHECK (state <> 9 OR id IS NOT NULL OR former_id IS NOT NULL),
    PRIMARY KEY (pool, seq)
) WITH (fillfactor = 85);

-- Keys do not compress.
ALTER TABLE {schema}.keypackage_pool_packages ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Each index but the primary key begins with the pool's key and a number of its own, and serves the statements that name this
-- sum. If several began with the same, the planner would take any of them for a look-up in a table of which it knows nothing:
-- then each look-up goes through the whole pool.

-- SAVE-5: one record of a ref.
CREATE UNIQUE INDEX keypackage_pool_refs ON {schema}.keypackage_pool_packages ((pool + 1), ref);

-- SAVE-9: two rows may have the same fingerprint.
CREATE INDEX keypackage_pool_init_keys ON {schema}.keypackage_pool_packages ((pool + 2), fingerprint) WHERE fingerprint IS NOT NULL;

-- LAST-1: the slots.
CREATE INDEX keypackage_pool_slots ON {schema}.keypackage_pool_packages ((pool + 3)) WHERE in_slot;

-- No index holds what an update writes. So a spent row keeps its page and its entries in the indexes (a heap-only update).

-- A lease, or the window after a use in which the reserver is remembered or a claim may be repeated.
CREATE TABLE {schema}.keypackage_pool_leases (
    -- keypackage_pool_packages.pool and seq
    pool bigint NOT NULL,
    seq bigint NOT NULL,
    -- 3 reserved                         4 reserved, retired at its lapse
    -- 5 reserved, retired meanwhile      6 reserved, withdrawn meanwhile
    -- 7 used, its reserver remembered    8 claimed, its bytes kept
    state smallint NOT NULL CHECK (state BETWEEN 3 AND 8),
    -- The reservation that is bound to the KeyPackage (RES-5).
    id bytea NOT NULL CHECK (octet_length(id) = 16),
    ends_at bigint NOT NULL CHECK (ends_at BETWEEN 0 AND 9007199254740991),
    reserver bytea CHECK (octet_length(reserver) BETWEEN 1 AND 64),
    spent_at bigint CHECK ((spent_at IS NOT NULL) = (state >= 7) AND spent_at BETWEEN 0 AND 9007199254740991),
    spender bytea CHECK (octet_length(spender) BETWEEN 1 AND 64),
    group_id bytea CHECK (octet_length(group_id) BETWEEN 1 AND 255),
    PRIMARY KEY (pool, seq)
);

-- TIME-2: the leases of a pool that have ended.
CREATE INDEX keypackage_pool_lapses ON {schema}.keypackage_pool_leases ((pool + 1), ends_at);

-- RES-5: the reservations that are bound to KeyPackages: by a lease or window, or by a use. A row stays when a lease becomes a use.
CREATE TABLE {schema}.keypackage_pool_ids (
    -- keypackage_pool_packages.pool and seq
    pool bigint NOT NULL,
    seq bigint NOT NULL,
    id bytea NOT NULL CHECK (octet_length(id) = 16)
);

-- A reservation is bound to one KeyPackage of a pool.
CREATE UNIQUE INDEX keypackage_pool_bound ON {schema}.keypackage_pool_ids (pool, id);

-- What is dead after a minute of traffic is many times what lives.
ALTER TABLE {schema}.keypackage_pools SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE {schema}.keypackage_pool_heads SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE {schema}.keypackage_pool_packages SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05
);
ALTER TABLE {schema}.keypackage_pool_leases SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE {schema}.keypackage_pool_ids SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
