-- LIN-1: locks pools, in the order of their keys, which all transactions keep. The look-ups come after it, in statements of their
-- own: a statement that waited for a lock sees new rows of what it locked, and old ones of the rest. Asks for the keys first: for rows
-- by name in the order of their keys, the planner may go through all pools.
-- Parameters: 1 pools.
-- Result: key, pool, records, last_sequence, credential, sweep_at, settle_at.
SELECT key, pool, records, last_sequence, credential, sweep_at, settle_at
FROM {schema}.keypackage_pools
WHERE key = ANY (ARRAY(SELECT q.key FROM unnest($1::bytea[]) AS w (pool) CROSS JOIN LATERAL {pool} AS q))
ORDER BY key
FOR UPDATE
