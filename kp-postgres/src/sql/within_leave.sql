-- TX-1: leaves the settings of a server's transaction as they were.
-- Parameters: 1 lock_timeout.
SELECT set_config('lock_timeout', $1::text, true)
