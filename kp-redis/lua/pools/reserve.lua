-- reserve_key_packages: leases packages of one pool.
-- Rules: TIME-2, RES-1 to RES-10, LAST-2, LAST-4
--
-- KEYS    as in pool.lua
-- ARGV    3 at lapse: return or retire
--         4 the requests: an argument each, as in take.lua
-- Reply   for each request: ok, ref, record, the bytes before its package, expires_at (absent for a last-resort package)

local retire

-- Leases a package, or returns the rejection.
local function reserve()
    local bound, r = binding()
    if bound == 'no' then
        return no(r)
    elseif bound == 'used' then
        return no('already_spent') -- RES-5
    elseif bound == 'live' then
        return handed(r, r.expires_at) -- RES-5: the same request gets the same answer
    end
    local chosen, code = choose()
    if not chosen then
        return no(code)
    elseif chosen.state == 'S' then
        return handed(chosen) -- RES-6: no lease
    end
    unbind(r)
    local lapse, by = expires_at(chosen), take.by
    take_free(chosen, lapse, struct.pack(LEASED, 'R', retire, lapse, take.id, chosen.sequence, #by, by))
    return handed(chosen, lapse)
end

return function(keys, arguments)
    begin(keys, arguments)
    retire = ARGV[3] == 'retire' and 1 or 0
    settle()
    return finish(each_take(4, reserve))
end
