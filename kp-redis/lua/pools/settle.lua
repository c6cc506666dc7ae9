-- release_expired_reservations, for one pool: settles what has lapsed.
-- Rules: TIME-2, SWEEP-2
--
-- KEYS    as in pool.lua
-- Reply   how many leases and windows were settled

local count = settle()
first_lapse_moved = true -- Rewrites the index: if it were wrong, the pool would be due for ever.
return finish(count)
