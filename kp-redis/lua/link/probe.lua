-- open: runs every command that the store sends, in scripts or beside them.
--
-- Redis asks for each command of a script whether its user may run it, and does not roll the script back. So a command that
-- the server denies is to be met here, and not behind the first write of a script.
--
-- KEYS    1 a key that is not there
-- Reply   the first command denied, and the server's error; nothing when it denies none

return function(KEYS)
    local KEY = KEYS[1]

    -- Each changes nothing on a key that is not there, but HSETNX and HSET, which make the key, and DEL, which removes it again.
    local COMMANDS = {
        {'DEL', KEY}, {'UNLINK', KEY}, {'GET', KEY}, {'SET', KEY, '', 'XX'},
        {'HDEL', KEY, ''}, {'HGET', KEY, ''}, {'HGETALL', KEY}, {'HLEN', KEY}, {'HMGET', KEY, ''}, {'HSCAN', KEY, 0},
        {'ZADD', KEY, 'XX', 0, ''}, {'ZCARD', KEY}, {'ZCOUNT', KEY, 0, 0}, {'ZRANGE', KEY, 0, 0}, {'ZRANGEBYLEX', KEY, '-', '+'},
        {'ZRANGEBYSCORE', KEY, 0, 0}, {'ZREM', KEY, ''}, {'ZREVRANGEBYSCORE', KEY, 0, 0}, {'ZSCORE', KEY, ''},
        {'HSETNX', KEY, '', ''}, {'HSET', KEY, '', ''}, {'DEL', KEY},
    }

    -- A server that takes no changes for now denies nothing.
    local FOR_NOW = {OOM = true, MISCONF = true, NOREPLICAS = true}

    for _, command in ipairs(COMMANDS) do
        local reply = redis.pcall(unpack(command))
        local why = type(reply) == 'table' and reply.err
        local code = why and string.match(why, '^%u+')
        if code == 'READONLY' then
            return reply
        elseif why and not FOR_NOW[code] then
            return {command[1], why}
        end
    end
    return {}
end
