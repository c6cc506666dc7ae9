-- claim_key_packages: reserves and spends packages of one pool in one step.
-- Rules: TIME-2, CLAIM-1, RES-2 to RES-10, SPEND-4, LAST-2, LAST-4
--
-- KEYS    as in pool.lua
-- ARGV    3 group or ''
--         4 the requests, as in take.lua
-- Reply   for each request: ok, facts, package

local group = ARGV[3]

settle()
return finish(each_take(4, function(take)
    local bound, r = binding(take)
    local chosen, code, stale
    if bound == 'no' then
        return no(r)
    elseif bound == 'used' then
        -- CLAIM-1: within its window, the same claim is answered with the same package.
        if r.window ~= REPLAYABLE or r.by ~= take.by or r.group ~= group then
            return no('already_spent')
        elseif not meets(r, take) then
            return no('reservation_conflict') -- RES-5
        end
        return handed(r)
    elseif bound == 'live' then
        chosen = r -- CLAIM-1: a claim with the id of a lease spends the leased package
    else
        stale = r
        chosen, code = choose(take)
        if not chosen then
            return no(code)
        elseif chosen.state == 'S' then
            return handed(chosen) -- RES-6
        end
    end
    unbind(stale)
    local used = become(chosen, {
        state = 'U', at = NOW, id = take.id, group = group, by = take.by, bound = true, window = REPLAYABLE,
        expires_at = expires_at(chosen, take), reserver = take.by,
    })
    put(chosen, used)
    return handed(used)
end))
