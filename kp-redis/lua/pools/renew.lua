-- renew_key_packages: makes leases of one pool longer.
-- Rules: TIME-2, REN-1, REN-2
--
-- KEYS    as in pool.lua
-- ARGV    3 ttl
--         4 for each token: ref, id
-- Reply   for each token: ok, expires_at

local ttl

-- Renews one lease, or returns the first rejection that applies (REN-2).
local function renew(ref, id)
    local r, code = live_lease(ref, id)
    if not r then
        return no(code)
    end
    local expires_at = math.min(NOW + ttl, r.not_after)
    if r.recalled > 0 or expires_at <= r.expires_at then
        return {'ok', r.expires_at} -- REN-1: never shorter; a recalled package's lease keeps its end
    end
    put(r, become(r, {expires_at = expires_at}))
    return {'ok', expires_at}
end

return function(keys, arguments)
    begin(keys, arguments)
    ttl = tonumber(ARGV[3])
    settle()
    return finish(each_token(4, renew))
end
