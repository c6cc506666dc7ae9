-- Lets a script go on while the memory is full: it makes no record, and what it adds to one is little and makes room later.
-- Follows pool.lua, before the first write.
--
-- Redis refuses a command that may take memory only while its script has written nothing. So the script removes what is
-- never there: no reservation id has this length. If that fails, so will the script's own first write.
redis.pcall('HDEL', IDS, '-')
