-- The durable work of a spend, with the fewest commands: the lease goes, and of the record what is remembered stays.
-- KEYS 1 records, 2 taken, 3 lapses; ARGV 1 ref, 2 what is written behind the facts
local record = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.sub(record, 1, 58) .. ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
