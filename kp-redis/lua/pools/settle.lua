-- release_expired_reservations, for one pool: settles what has lapsed, in steps. What a step leaves is settled by the next
-- one, and meanwhile every other call sees it as settled, or settles it (TIME-2).
-- Rules: TIME-2, SWEEP-2, COST-1
--
-- KEYS    as in pool.lua
-- ARGV    3 the most leases and windows to settle
-- Reply   how many leases and windows were settled

local count = settle(tonumber(ARGV[3]))
first_lapse_moved = true -- Rewrites the index: if it were wrong, the pool would be due for ever.
return finish(count)
