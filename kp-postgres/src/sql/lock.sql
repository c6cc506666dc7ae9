-- LIN-1: locks pools, in the order of their keys, which all transactions keep. The look-ups come after it, in statements of their
-- own: a statement that waited for a lock sees new rows of what it locked, and old ones of the rest.
-- Parameters: 1 pools.
-- Result: key, pool, records, last_sequence, credential, head, sweep_at, settle_at.
SELECT key, pool, records, last_sequence, credential, head, sweep_at, settle_at
FROM {schema}.keypackage_pools
WHERE pool = ANY ($1::bytea[])
ORDER BY key
FOR UPDATE
