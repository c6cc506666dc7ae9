-- META-1: makes sure that a credential's hash has a key.
-- Parameters: 1 the hash.
INSERT INTO keypackage_pool_credentials (hash)
VALUES (?1)
ON CONFLICT (hash) DO NOTHING
