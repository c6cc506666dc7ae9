-- Leases move into a table of their own, and the bytes of a package into its row.
--
-- What a commit costs is the pages that it touches. A lease is a short row, and of those that live there are few: whatever
-- pools they are of, they share pages. So a reservation touches hardly any; the row of a package, of which each pool has
-- its own pages, is written when it is saved and when it is spent, and its bytes go with the latter.

CREATE TABLE keypackage_pool_leases (
    -- keypackage_pool_packages.key
    key INTEGER PRIMARY KEY,
    -- keypackage_pools.key
    pool INTEGER NOT NULL,
    -- 3 reserved                         4 reserved, retired at its lapse
    -- 5 reserved, retired meanwhile      6 reserved, withdrawn meanwhile
    -- 7 used, its reserver remembered    8 claimed, its bytes kept
    state INTEGER NOT NULL CHECK (state BETWEEN 3 AND 8),
    -- The reservation that is bound to the package (RES-5).
    id BLOB NOT NULL CHECK (length(id) = 16),
    ends_at INTEGER NOT NULL CHECK (ends_at >= 0),
    reserver BLOB CHECK (length(reserver) BETWEEN 1 AND 64),
    spent_at INTEGER CHECK ((spent_at IS NOT NULL) = (state >= 7)),
    spender BLOB CHECK (length(spender) BETWEEN 1 AND 64),
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255)
) STRICT;

INSERT INTO keypackage_pool_leases
SELECT key, pool, state, id, ends_at, reserver, spent_at, spender, group_id
FROM keypackage_pool_packages
WHERE ends_at IS NOT NULL;

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
    -- While the package has a lease, that says what it is; the row here is as it was before, or, once the bytes are
    -- dropped, as it will be when the lease has ended.
    --  0 free
    --  1 last resort in its slot          2 the same, used
    --  9 used          10 retired        11 withdrawn
    -- 12 last resort, withdrawn          13 last resort, replaced
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2 OR state BETWEEN 9 AND 13),
    -- The reservation that is bound to it (RES-5) ...
    id BLOB CHECK (length(id) = 16),
    -- ... and, when that was bound to another package since, the one that used it (SPEND-3).
    former_id BLOB CHECK (length(former_id) = 16),
    spent_at INTEGER CHECK ((spent_at IS NOT NULL) = (state >= 9)),
    spender BLOB CHECK (length(spender) BETWEEN 1 AND 64),
    group_id BLOB CHECK (length(group_id) BETWEEN 1 AND 255),
    -- NULL: dropped (SPEND-4, LAST-1). The last column, so that reading the others does not read past it.
    bytes BLOB CHECK (length(bytes) BETWEEN 1 AND 65535)
) STRICT;

INSERT INTO keypackage_pool_packages_2
SELECT p.key, p.pool, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, p.former_id,
       p.spent_at, p.spender, p.group_id, b.bytes
FROM (
    SELECT key, pool, ref, suite, not_before, not_after, saved_at, credential, state, id, former_id, spent_at, spender, group_id
    FROM keypackage_pool_packages WHERE ends_at IS NULL
    UNION ALL
    SELECT key, pool, ref, suite, not_before, not_after, saved_at, credential, 0, NULL, NULL, NULL, NULL, NULL
    FROM keypackage_pool_packages WHERE ends_at IS NOT NULL AND state <> 7
    UNION ALL
    SELECT key, pool, ref, suite, not_before, not_after, saved_at, credential, 9, id, former_id, spent_at, spender, group_id
    FROM keypackage_pool_packages WHERE state = 7
) AS p
LEFT JOIN keypackage_pool_bytes AS b ON b.key = p.key
ORDER BY p.key;

DROP TABLE keypackage_pool_bytes;

DROP TABLE keypackage_pool_packages;

ALTER TABLE keypackage_pool_packages_2 RENAME TO keypackage_pool_packages;

-- SWEEP-2: what the leases say, their pools need not repeat.
DROP INDEX keypackage_pools_to_settle;

ALTER TABLE keypackage_pools DROP COLUMN settle_at;

-- No package of the pool below this sequence is in state 0, nor will be: where the queue begins, or before (COST-1).
ALTER TABLE keypackage_pools ADD COLUMN unspent_from INTEGER NOT NULL DEFAULT 0;

-- RES-2: the packages of a pool, by sequence. It knows nothing of states, so that none of their changes touches it.
CREATE INDEX keypackage_pool_queue ON keypackage_pool_packages (pool);

-- LAST-1: the slots.
CREATE INDEX keypackage_pool_slots ON keypackage_pool_packages (pool) WHERE state IN (1, 2);

-- RES-5: an id is bound to one package of its pool: while leased ...
CREATE UNIQUE INDEX keypackage_pool_held ON keypackage_pool_leases (pool, id);

-- ... and once used.
CREATE UNIQUE INDEX keypackage_pool_bound ON keypackage_pool_packages (pool, id) WHERE id IS NOT NULL;

-- SWEEP-2: leases and windows by their end, whatever pool they are of.
CREATE INDEX keypackage_pool_ends ON keypackage_pool_leases (ends_at);

-- A ref's few candidates: it is a hash, and three bytes of it tell as much as all. The row itself says which it is.
CREATE INDEX keypackage_pool_refs ON keypackage_pool_packages (pool, substr(ref, 1, 3));

-- What is not past its not_after, without reading what is; and the reverse (SAVE-6, SWEEP-1, COST-1).
CREATE INDEX keypackage_pool_expiry ON keypackage_pool_packages (pool, not_after);

-- A lease goes with its package.
CREATE TRIGGER keypackage_pool_lease_goes AFTER DELETE ON keypackage_pool_packages
BEGIN
    DELETE FROM keypackage_pool_leases WHERE key = old.key;
END;
