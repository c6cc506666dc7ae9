-- META-3: deletes rows.
-- Parameters: 1 client, 2 refs.
-- Result: a row for each that there was.
DELETE FROM {schema}.keypackage_pool_metadata
WHERE client = (SELECT key FROM {schema}.keypackage_pool_clients WHERE client = $1::bytea) AND ref = ANY ($2::bytea[])
RETURNING client
