-- META-1: inserts the hash of a credential, unless it is there.
-- Parameters: 1 the hash.
INSERT INTO keypackage_pool_credentials (hash)
VALUES (?1)
ON CONFLICT (hash) DO NOTHING
