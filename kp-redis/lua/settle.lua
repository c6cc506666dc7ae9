-- release_expired_reservations, for one pool.
-- Rules: TIME-2, SWEEP-2
--
-- KEYS    as in pool.lua
-- Reply   how many leases and windows ended

return finish(settle())
