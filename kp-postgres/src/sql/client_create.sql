-- META-1: makes the row of a client, unless it is there.
-- Parameters: 1 client.
INSERT INTO {schema}.keypackage_pool_clients (client)
SELECT $1::bytea
WHERE NOT EXISTS (SELECT FROM {schema}.keypackage_pool_clients WHERE client = $1)
ON CONFLICT (client) DO NOTHING
