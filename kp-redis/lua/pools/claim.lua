-- claim_key_packages: reserves and spends packages of one pool in one step.
-- Rules: TIME-2, CLAIM-1, RES-2 to RES-10, SPEND-4, LAST-2, LAST-4
--
-- KEYS    as in pool.lua
-- ARGV    3 group or ''
--         4 the requests: an argument each, as in take.lua
-- Reply   for each request: ok, ref, record, the bytes before its package

local group

-- Claims a package, or returns the rejection.
local function claim()
    local by, bound, r = take.by, binding()
    if bound == 'no' then
        return no(r)
    elseif bound == 'used' then
        -- CLAIM-1: within its window, the same claim is answered with the same package.
        if r.window ~= REPLAYABLE or r.by ~= by or r.group ~= group then
            return no('already_spent')
        elseif not meets(r) then
            return no('reservation_conflict') -- RES-5
        end
        return handed(r)
    elseif bound == 'live' then
        -- CLAIM-1: a claim with the id of a lease spends the leased package.
        put(r, become(r, {
            state = 'U', at = NOW, group = group, bound = true, window = REPLAYABLE, expires_at = expires_at(r), reserver = by,
        }))
        return handed(r)
    end
    local chosen, code = choose()
    if not chosen then
        return no(code)
    elseif chosen.state == 'S' then
        return handed(chosen) -- RES-6
    end
    unbind(r)
    local lapse = expires_at(chosen)
    take_free(chosen, lapse, struct.pack(
        CLAIMED, 'U', 1, lapse, take.id, NOW, #group, group, #by, by, #by, by
    ))
    return handed(chosen)
end

return function(keys, arguments)
    begin(keys, arguments)
    group = ARGV[3]
    settle()
    return finish(each_take(4, claim))
end
