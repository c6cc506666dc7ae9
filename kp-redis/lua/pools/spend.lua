-- spend_key_packages: spends leased packages of one pool.
-- Rules: TIME-2, SPEND-1 to SPEND-4
--
-- KEYS    as in pool.lua
-- ARGV    3 group or ''
--         4 spender or ''
--         5 for each token: ref, id
-- Reply   for each token: ok, spent_at

local group, by

-- Spends one package, or returns the first rejection that applies (SPEND-2).
local function spend(ref, id)
    local r = load(ref)
    if not r then
        return no('not_found')
    elseif r.state == 'U' and r.id == id and r.group == group and r.by == by then
        return {'ok', r.at} -- SPEND-3
    elseif is_expired(r) then
        return no('expired')
    elseif r.state == 'U' then
        return no('already_spent')
    elseif r.state ~= 'R' or r.id ~= id then
        return no('no_live_reservation')
    end
    -- SPEND-4: the bytes are dropped. The reserver is remembered until the lease would have lapsed.
    local counts = r.by ~= ''
    redis.call('HDEL', TAKEN, ref)
    redis.call('HSET', RECORDS, ref, pack_used(r, true, NOW, id, group, by, counts and r.expires_at, r.by))
    if not counts then
        redis.call('ZREM', LAPSES, ref)
    end
    return {'ok', NOW}
end

return function(keys, arguments)
    begin(keys, arguments)
    group, by = ARGV[3], ARGV[4]
    settle()
    return finish(each_token(5, spend))
end
