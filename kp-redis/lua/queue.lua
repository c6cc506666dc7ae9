-- What can be handed out, in its order. Stands behind pool.lua where it is looked through.

-- The records of these refs, those that can be read.
local function read_all(refs)
    local found = {}
    for first = 1, #refs, 1000 do
        local page = {unpack(refs, first, math.min(first + 999, #refs))}
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(page))) do
            found[#found + 1] = peek(page[index], value)
        end
    end
    return found
end

-- RES-2: calls `visit` with the free packages behind this place, the oldest first, until it returns true.
local function walk_free(after, visit)
    local size = 1 -- The oldest is mostly the one.
    while true do
        local page = redis.call('ZRANGEBYSCORE', QUEUE, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, size)
        if #page == 0 then
            return
        end
        local refs = {}
        for index = 1, #page, 2 do
            refs[#refs + 1] = page[index]
        end
        for index, value in ipairs(redis.call('HMGET', RECORDS, unpack(refs))) do
            local r = peek(refs[index], value)
            if r and r.state == 'F' then
                r.sequence = tonumber(page[2 * index])
                if visit(r) then
                    return
                end
            end
        end
        after, size = page[#page], math.min(8 * size, 512)
    end
end

-- The last-resort packages in their slots, the oldest saved first.
local function slots()
    local found = {}
    for _, r in ipairs(read_all(redis.call('ZREVRANGEBYSCORE', QUEUE, '(0', '-inf'))) do
        if r.state == 'S' then
            found[#found + 1] = r
        end
    end
    return found
end
