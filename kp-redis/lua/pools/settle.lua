-- release_expired_reservations, for one pool.
-- Rules: TIME-2, SWEEP-2
--
-- KEYS    as in pool.lua
-- Reply   how many leases and windows ended

local count = settle()
first_lapse_moved = true -- Else its pool would be due for ever, if the index were wrong.
return finish(count)
