-- TX-1, TX-4: reads the settings of a server's transaction, and sets those that the statements need. The first call in the
-- transaction waits as long as given for a lock, a later one does not wait: so nobody waits in a circle.
-- Parameters: 1 names of settings, 2 their values.
-- Result: isolation level, whether read-only, synchronous_commit, name of a setting, its value as it was (NULL: it had none).
SELECT
    current_setting('transaction_isolation'), current_setting('transaction_read_only')::boolean, current_setting('synchronous_commit'),
    s.name, current_setting(s.name, true),
    set_config(
        s.name,
        CASE
            WHEN s.name = 'lock_timeout' AND current_setting('keypackage_pool.within', true) <> '' THEN '1ms'
            ELSE s.value
        END,
        true
    )
FROM unnest($1::text[], $2::text[]) AS s (name, value)
