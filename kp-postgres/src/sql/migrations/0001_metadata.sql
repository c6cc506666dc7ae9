-- Creates the tables of the metadata of clients (META-1). No column can hold a key or a KeyPackage (META-4). A client is
-- named by the id of its pool.

CREATE TABLE {schema}.keypackage_pool_clients (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client bytea NOT NULL UNIQUE CHECK (octet_length(client) BETWEEN 1 AND 255),
    -- The numbers of the pool's record (META-6), each behind its key.
    record bigint[] NOT NULL DEFAULT '{}'
);

CREATE TABLE {schema}.keypackage_pool_metadata (
    -- keypackage_pool_clients.key
    client bigint NOT NULL,
    -- The link to the MLS library's storage.
    ref bytea NOT NULL CHECK (octet_length(ref) BETWEEN 1 AND 64),
    status text NOT NULL CHECK (
        status IN ('created', 'available', 'reserved', 'joining', 'superseded', 'spent', 'expired', 'failed')
    ),
    created_at bigint NOT NULL CHECK (created_at >= 0),
    -- When the first upload that names the package began.
    offered_at bigint CHECK (offered_at >= 0),
    uploaded_at bigint CHECK (uploaded_at >= 0),
    reserved_at bigint CHECK (reserved_at >= 0),
    spent_at bigint CHECK (spent_at >= 0),
    not_before bigint CHECK (not_before >= 0),
    not_after bigint NOT NULL CHECK (not_after >= 0),
    -- When the key of a superseded package may go (POOL-5).
    delete_at bigint CHECK ((delete_at IS NOT NULL) = (status = 'superseded')),
    -- Whose a join is, while the package is joined with (POOL-7): random bytes that a process chose.
    join_holder bytea CHECK (join_holder IS NULL OR (octet_length(join_holder) = 16 AND status = 'joining')),
    join_until bigint CHECK ((join_until IS NULL) = (join_holder IS NULL)),
    ciphersuite integer NOT NULL CHECK (ciphersuite BETWEEN 0 AND 65535),
    last_resort boolean NOT NULL,
    credential bytea NOT NULL CHECK (octet_length(credential) = 32),
    PRIMARY KEY (client, ref)
);

-- The leases, also those that have ended: no fence is given out twice (META-5).
CREATE TABLE {schema}.keypackage_pool_metadata_leases (
    client bigint NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 16),
    -- Random bytes that a process chose.
    holder bytea NOT NULL CHECK (octet_length(holder) = 16),
    fence bigint NOT NULL CHECK (fence >= 1),
    since bigint NOT NULL CHECK (since >= 0),
    until bigint NOT NULL CHECK (until >= since),
    PRIMARY KEY (client, name)
);
