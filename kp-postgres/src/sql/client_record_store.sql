-- META-6: replaces the record of a client's pool.
-- Parameters: 1 client, 2 keys and numbers in turn.
UPDATE {schema}.keypackage_pool_clients
SET record = $2::bigint[]
WHERE client = $1::bytea
