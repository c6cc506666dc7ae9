-- META-6: reads the record of a client's pool.
-- Parameters: 1 client.
-- Result: no row or one; keys and numbers in turn.
SELECT record
FROM {schema}.keypackage_pool_clients
WHERE client = $1::bytea
