-- reserve_key_packages: leases packages of one pool.
-- Rules: TIME-2, RES-1 to RES-10, LAST-2, LAST-4
--
-- KEYS    as in pool.lua
-- ARGV    3 at lapse: return or retire
--         4 the requests, as in take.lua
-- Reply   for each request: ok, facts, package, expires_at (absent for a last-resort package)

settle()
return finish(each_take(4, function(take)
    local bound, r = binding(take)
    if bound == 'no' then
        return no(r)
    elseif bound == 'used' then
        return no('already_spent') -- RES-5
    elseif bound == 'live' then
        return handed(r, r.expires_at) -- RES-5: the same request gets the same answer
    end
    local chosen, code = choose(take)
    if not chosen then
        return no(code)
    elseif chosen.state == 'S' then
        return handed(chosen) -- RES-6: no lease
    end
    unbind(r)
    local leased = become(chosen, {
        state = 'R', id = take.id, by = take.by, expires_at = expires_at(chosen, take), retire = ARGV[3] == 'retire',
        recalled = 0,
    })
    put(chosen, leased)
    return handed(leased, leased.expires_at)
end))
