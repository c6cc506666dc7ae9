-- The durable work of a reserve, with the fewest commands: the oldest package leaves the queue, and the lease is written.
-- KEYS 1 records, 2 queue, 3 taken, 4 ids, 5 lapses; ARGV 1 reservation id, 2 the lease, 3 expires_at
local ref = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
local record = redis.call('HGET', KEYS[1], ref)
redis.call('ZREM', KEYS[2], ref)
redis.call('HSET', KEYS[3], ref, ARGV[2])
redis.call('HSET', KEYS[4], ARGV[1], ref)
redis.call('ZADD', KEYS[5], ARGV[3], ref)
return {ref, record}
