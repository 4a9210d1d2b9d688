-- ---- Writing: all at the end, so that nothing fails between two writes -------------------------------------------------
local function plan_place(c, r, adds, sets, rems)
    local was, is = r.place0, r.place
    local holder_changed = r.session0 ~= r.session
    if is == 'own' and (was ~= 'own' or holder_changed) then
        list_add(sets, 'own:' .. hex8(r.session), r.imp)
    elseif is == 'ring' and r.group == 0 and (was ~= 'ring' or r.vt ~= r.vt0) then
        list_add(adds, 'ring', r.vt, r.imp)
    elseif is == 'due' and (was ~= 'due' or r.due ~= r.due0) then
        list_add(adds, 'due', r.due, r.imp)
        if c.next == 0 or r.due < c.next then
            c.next = r.due
        end
    end
    if was == 'own' and (is ~= 'own' or holder_changed) then
        list_add(rems, 'own:' .. hex8(r.session0), r.imp)
        list_add(rems, 'mail:' .. hex8(r.session0), r.imp)
    elseif was ~= is and (was == 'due' or (was == 'ring' and r.group == 0)) then
        list_add(rems, was, r.imp)
    end
    if r.state0 ~= r.state or r.since0 ~= r.since then
        list_add(adds, 'ix:' .. IMPORT_STATES[r.state], r.since, r.imp)
        if r.state0 and r.state0 ~= r.state then
            list_add(rems, 'ix:' .. IMPORT_STATES[r.state0], r.imp)
        end
    end
end

-- "imp_x i1,0 s3=5,1 o3 c2": import state and party, step states and parties, tasks opened and closed.
local function describe(r)
    local out = { r.imp }
    if r.is_new or r.state ~= r.state0 or r.party ~= byte(r.bytes, 37) then
        out[2] = 'i' .. r.state .. ',' .. r.party
    end
    for i = 0, r.count - 1 do
        local d = r.d[i]
        if d and not r.is_new then
            local at = 1 + HEAD_BYTES + STEP_BYTES * i
            local state, flags, party = byte(r.bytes, at), byte(r.bytes, at + 14, at + 15)
            if r.s[i] ~= state or d.party ~= party then
                out[#out + 1] = 's' .. i .. '=' .. r.s[i] .. ',' .. d.party
            end
            if has(d.flags, S_TASK) ~= has(flags, S_TASK) then
                out[#out + 1] = (has(d.flags, S_TASK) and 'o' or 'c') .. i
            end
        end
    end
    return #out > 1 and table.concat(out, ' ') or nil
end

-- Finished imports give their account free and lose their sealed credential, and groups learn what their imports did. It
-- reads, so before the first write.
local function plan_ends(c)
    local ended, fields = {}, {}
    for _, r in ipairs(c.order) do
        if r.is_changed and r.place == 'terminal' and r.place0 ~= 'terminal' and not r.is_new then
            ended[#ended + 1] = r.imp
            fields[#fields + 1] = r.imp .. ':a'
        end
    end
    local accounts = groups_settle(c, {}, fields)
    for k, imp in ipairs(ended) do
        if accounts[k] then
            c.f['acct:' .. accounts[k]] = false
        end
        c.f[imp .. ':c'] = false
    end
end

local function call_lists(c, command, lists)
    for key, l in pairs(lists) do
        redis.call(command, c.pre .. key, unpack(l))
    end
end

local function write_fields(c)
    local set, del = {}, {}
    if c.ring ~= c.ring0 or c.next ~= c.next0 or c.floor ~= c.floor0 then
        c.f['#'] = struct.pack(COUNTERS, c.ring, c.next, c.floor)
    end
    for field, value in pairs(c.f) do
        if value then
            set[#set + 1] = field
            set[#set + 1] = value
        else
            del[#del + 1] = field
        end
    end
    if #set > 0 then
        redis.call('HSET', c.h, unpack(set))
    end
    if #del > 0 then
        redis.call('HDEL', c.h, unpack(del))
    end
end

local function write_tasks(c)
    local add, rem = {}, {}
    for member, score in pairs(c.tasks) do
        if score then
            add[#add + 1] = score
            add[#add + 1] = member
        else
            rem[#rem + 1] = member
        end
    end
    if #add > 0 then
        redis.call('ZADD', c.pre .. 'tasks', 'NX', unpack(add))
    end
    if #rem > 0 then
        redis.call('ZREM', c.pre .. 'tasks', unpack(rem))
    end
end

-- Records that cannot be read leave ring and due, or they would stand in the way for ever.
local function put_aside(c)
    if #c.bad > 0 then
        c.ring = c.ring - redis.call('ZREM', c.pre .. 'ring', unpack(c.bad))
        redis.call('ZREM', c.pre .. 'due', unpack(c.bad))
        redis.call('SADD', c.pre .. 'bad', unpack(c.bad))
    end
end

local function end_sessions(c)
    for _, session in ipairs(c.ended) do
        redis.call('ZREM', c.pre .. 'sess', session)
        redis.call('DEL', c.pre .. 'own:' .. session, c.pre .. 'mail:' .. session)
    end
end

-- Earliest timer, exactly: only when the one we knew has passed.
local function refresh_next(c)
    if not c.now or c.next == 0 or c.next > c.now then
        return
    end
    local due = redis.call('ZRANGE', c.pre .. 'due', 0, 0, 'WITHSCORES')
    local sess = redis.call('ZRANGE', c.pre .. 'sess', 0, 0, 'WITHSCORES')
    local a, b = tonumber(due[2] or 0), tonumber(sess[2] or 0)
    c.next = (a == 0 or b == 0) and a + b or min(a, b)
end

local function commit(c)
    local adds, sets, rems, events = {}, {}, {}, c.events
    plan_ends(c)
    groups_plan(c, adds, rems)
    for _, r in ipairs(c.order) do
        if r.is_changed then
            c.f[r.imp] = record_write(r)
            plan_place(c, r, adds, sets, rems)
            events[#events + 1] = describe(r)
        end
    end
    call_lists(c, 'ZADD', adds)
    call_lists(c, 'SADD', sets)
    put_aside(c)
    for key, l in pairs(rems) do
        local is_set = sub(key, 1, 4) == 'own:' or sub(key, 1, 5) == 'mail:'
        redis.call(is_set and 'SREM' or 'ZREM', c.pre .. key, unpack(l))
    end
    end_sessions(c)
    write_tasks(c)
    for _, m in ipairs(c.mails) do
        redis.call('SADD', c.pre .. 'mail:' .. m[1], m[2])
    end
    local next_known = c.next
    refresh_next(c)
    write_fields(c)
    if #events > 0 then
        redis.call('XADD', c.pre .. 'ev', 'MAXLEN', '~', EVENTS_MAX, '*', 'e', table.concat(events, '\n'))
    end
    if #c.mails > 0 then
        redis.call('PUBLISH', c.pre .. 'bell', 'mail')
    end
    if (c.ring0 == 0 and c.ring > 0) or (next_known > 0 and (c.next0 == 0 or next_known < c.next0)) then
        redis.call('PUBLISH', c.pre .. 'bell', c.ring > 0 and 'ring' or 'due')
    end
end

