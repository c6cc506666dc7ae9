-- META-2, META-5: locks a client. What is read of it comes after, in statements of their own.
-- Parameters: 1 client.
-- Result: key.
SELECT key
FROM {schema}.keypackage_pool_clients
WHERE client = $1::bytea
FOR UPDATE
