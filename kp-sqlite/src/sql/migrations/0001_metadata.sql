-- Creates the tables of a client's metadata (META-1). No column can hold a key or a KeyPackage (META-4).

-- The hashes of the client's few credentials, so that no row repeats 32 bytes.
CREATE TABLE keypackage_pool_credentials (
    key INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE keypackage_pool_metadata (
    -- The link to the MLS library's storage.
    keypackage_ref BLOB NOT NULL PRIMARY KEY CHECK (length(keypackage_ref) BETWEEN 1 AND 64),
    status TEXT NOT NULL CHECK (
        status IN ('created', 'available', 'reserved', 'joining', 'superseded', 'spent', 'expired', 'failed')
    ),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    uploaded_at INTEGER CHECK (uploaded_at >= 0),
    reserved_at INTEGER CHECK (reserved_at >= 0),
    spent_at INTEGER CHECK (spent_at >= 0),
    not_after INTEGER NOT NULL CHECK (not_after >= 0),
    -- When the key of a superseded package may go (POOL-5).
    delete_at INTEGER CHECK ((delete_at IS NOT NULL) = (status = 'superseded')),
    ciphersuite INTEGER NOT NULL CHECK (ciphersuite BETWEEN 0 AND 65535),
    last_resort INTEGER NOT NULL CHECK (last_resort IN (0, 1)),
    -- keypackage_pool_credentials.key
    credential INTEGER NOT NULL
) STRICT;

CREATE INDEX keypackage_pool_metadata_status ON keypackage_pool_metadata (status);

CREATE INDEX keypackage_pool_metadata_expiry ON keypackage_pool_metadata (not_after);
