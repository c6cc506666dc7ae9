-- TX-1, TX-4: reads the settings of a server's transaction, and sets how long it waits for a lock. The first call in the transaction
-- waits as long as given, a later one does not wait: so nobody waits in a circle.
-- Parameters: 1 how long.
-- Result: isolation level, whether read-only, synchronous_commit, lock_timeout as it was.
SELECT
    current_setting('transaction_isolation'), current_setting('transaction_read_only')::boolean, current_setting('synchronous_commit'),
    current_setting('lock_timeout'),
    set_config(
        'lock_timeout',
        CASE coalesce(current_setting('keypackage_pool.within', true), '') WHEN '' THEN $1::text ELSE '1ms' END,
        true
    ),
    set_config('keypackage_pool.within', 'entered', true)
