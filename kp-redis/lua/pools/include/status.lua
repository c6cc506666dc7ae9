-- What reads say of a package. Stands between pool.lua and the reads.

-- TIME-2: as if the pool had been settled; nothing is written (READ-1).
local function as_read(r)
    if (lapses_at(r) or math.huge) <= NOW then
        return settled(r)
    end
    return r
end

local CAUSES = {U = 'used', T = 'retired', W = 'withdrawn', P = 'replaced'}

-- READ-3: the first that applies, and what belongs to it.
local function status(r)
    if is_expired(r) then
        return 'expired'
    elseif CAUSES[r.state] then
        return 'spent', r.at, CAUSES[r.state]
    elseif r.state == 'S' then
        return 'last_resort', r.used and 1 or 0
    elseif r.state == 'R' then
        return 'reserved', r.expires_at
    elseif NOW < r.not_before then
        return 'not_yet_valid'
    end
    return 'available'
end

-- The facts about a package.
local function facts(r)
    return {r.ref, r.suite, r.not_before, r.not_after, r.last and 1 or 0, r.credential}
end
