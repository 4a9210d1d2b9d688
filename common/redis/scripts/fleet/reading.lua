-- ---- One call: what it read, what it will write --------------------------------------------------------------------------
-- raw: records as they are stored (or as their holder has swapped them); recs: those that the rules work on, false where
-- there is none. f: fields of h to set (text) or delete (false); tasks: members to add (score) or remove (false);
-- groups: those of groups.lua that it knows; counters in '#'.
local function begin(h, counters)
    local c = { h = h, pre = sub(h, 1, -2), f = {}, tasks = {}, mails = {}, raw = {}, recs = {}, order = {}, bad = {},
        events = {}, ended = {}, groups = {}, ring = 0, next = 0, floor = 0 }
    if counters then
        c.ring, c.next, c.floor = struct.unpack(COUNTERS, counters)
    end
    c.ring0, c.next0, c.floor0 = c.ring, c.next, c.floor
    return c
end

-- A record for the rules to work on; nil when it cannot be read.
local function record_open(c, imp, bytes)
    local r = bytes and record_read(bytes)
    local shape = r and dag_of(c, r)
    if not shape then
        return nil
    end
    r.imp, r.shape = imp, shape
    r.place, r.due = place_of(r)
    r.place0, r.due0, r.session0, r.state0, r.since0, r.vt0 = r.place, r.due, r.session, r.state, r.since, r.vt
    r.gplace, r.charge = r.place, 0
    return r
end

-- Takes an import's record in hand; nil when it is absent or cannot be read (then it is put aside, and audit names it).
local function take(c, imp, bytes)
    local r = record_open(c, imp, bytes)
    know_time(c)
    c.recs[imp] = r or false
    if r then
        c.order[#c.order + 1] = r
    elseif bytes then
        c.bad[#c.bad + 1] = imp
    end
    return r
end

-- The record of an import that this call has read.
local function record_of(c, imp)
    local r = c.recs[imp]
    if r == nil then
        r = take(c, imp, c.raw[imp])
    end
    return r or nil
end

local function take_all(c, imps)
    local missing = {}
    for _, imp in ipairs(imps) do
        if not c.recs[imp] and not c.raw[imp] then
            missing[#missing + 1] = imp
        end
    end
    if #missing > 0 then
        local got = redis.call('HMGET', c.h, unpack(missing))
        for k, imp in ipairs(missing) do
            c.raw[imp] = got[k]
            if not got[k] then
                c.bad[#c.bad + 1] = imp
            end
        end
    end
    for _, imp in ipairs(imps) do
        record_of(c, imp)
    end
end

-- Lists by key; how most commands get their arguments.
local function list_add(lists, key, a, b)
    local l = lists[key]
    if not l then
        l = {}
        lists[key] = l
    end
    l[#l + 1] = a
    if b then
        l[#l + 1] = b
    end
end

