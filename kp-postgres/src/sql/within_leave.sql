-- TX-1: leaves the settings of a server's transaction as they were, and TX-4: remembers that a call was made in it.
-- Parameters: 1 names of settings, 2 their values.
SELECT set_config(s.name, s.value, true)
FROM unnest($1::text[], $2::text[]) AS s (name, value)
