-- ---- Groups: imports that share one place in the ring -----------------------------------------------------------------
-- An import of no group (0) stands in the ring itself, by its virtual time. Those of a group wait in the group's queue,
-- fields q:GROUP:N of h with N from `first` to before `next`, and the group stands in the ring as g:GROUP: however many it
-- has, it gets one share. Its field g:GROUP has virtual time, first, next, how many imports of it are open, and what a
-- start weighs; it goes with the last open import. `vt` of a record of a group is its N while it waits, and the work
-- that the group has not been charged for yet while it is held.
--
-- Nothing here walks a queue: who leaves from the middle has its number taken over by the last.
local GROUP = '<I8I8I8I4B'

local function group_name(id)
    return string.format('g:%08x', id)
end
local function slot_name(id, n)
    return string.format('q:%08x:%.0f', id, n)
end

local function group_keep(c, name, bytes)
    local g = { id = tonumber(sub(name, 3), 16), vt = 0, first = 0, next = 0, open = 0, weight = 1 }
    if bytes and #bytes == struct.size(GROUP) then
        g.vt, g.first, g.next, g.open, g.weight = struct.unpack(GROUP, bytes)
    end
    g.vt0, g.was_waiting = g.vt, g.next > g.first
    c.groups[name] = g
end

-- Reads the groups that are named and not known yet, and the fields in `more`, in one command; gives those.
local function groups_read(c, names, more)
    local fields, answers = {}, {}
    for _, name in ipairs(names) do
        if not c.groups[name] then
            fields[#fields + 1] = name
        end
    end
    local groups = #fields
    for _, field in ipairs(more) do
        fields[#fields + 1] = field
    end
    local got = #fields > 0 and redis.call('HMGET', c.h, unpack(fields)) or {}
    for k, field in ipairs(fields) do
        if k <= groups then
            group_keep(c, field, got[k])
        else
            answers[k - groups] = got[k]
        end
    end
    return answers
end

local function queue_enter(c, g, r)
    if g.first == g.next then
        g.vt = max(g.vt, c.floor) -- nothing is saved up by resting
    end
    r.vt, g.weight = g.next, r.weight
    c.f[slot_name(g.id, g.next)] = r.imp
    g.next = g.next + 1
end

local function queue_leave(c, g, r)
    local n, last = r.vt, g.next - 1
    r.vt = 0
    if n == g.first then
        g.first, last = n + 1, n
    else
        g.next = last
    end
    if n ~= last then
        local field = slot_name(g.id, last)
        local imp = c.f[field] or redis.call('HGET', c.h, field)
        take_all(c, { imp or nil })
        local other = imp and c.recs[imp]
        if other then
            other.vt, other.stamp, other.is_changed = n, c.stamp, true
        end
        c.f[slot_name(g.id, n)] = other and imp or false
    end
    c.f[slot_name(g.id, last)] = false
end

local function is_open(place)
    return place ~= '' and place ~= 'terminal'
end

-- Brings the groups up to what the rules have done to records since the last time: first all work is charged, then they
-- leave and enter in the order of their names, so that this does not hang on how they were found. names: other groups that
-- the call needs; more: fields that it needs as well. Gives those fields.
local function groups_settle(c, names, more)
    local moved = {}
    for _, r in ipairs(c.order) do
        if r.group ~= 0 and (r.charge > 0 or r.gplace ~= r.place) then
            moved[#moved + 1] = r
            names[#names + 1] = group_name(r.group)
        end
    end
    local answers = groups_read(c, names, more)
    table.sort(moved, function(a, b) return a.imp < b.imp end)
    for _, r in ipairs(moved) do
        local g = c.groups[group_name(r.group)]
        g.vt, r.charge, g.is_changed = g.vt + r.charge, 0, true
    end
    for _, r in ipairs(moved) do
        local g = c.groups[group_name(r.group)]
        g.open = max(0, g.open + (is_open(r.place) and 1 or 0) - (is_open(r.gplace) and 1 or 0))
        if r.gplace == 'ring' and r.place ~= 'ring' then
            queue_leave(c, g, r)
        elseif r.place == 'ring' and r.gplace ~= 'ring' then
            queue_enter(c, g, r)
        end
        r.gplace = r.place
    end
    return answers
end

-- What changed goes to h and to the ring's lists.
local function groups_plan(c, adds, rems)
    for name, g in pairs(c.groups) do
        if g.is_changed then
            local waits = g.next > g.first
            c.f[name] = g.open > 0 and struct.pack(GROUP, g.vt, g.first, g.next, g.open, g.weight)
            if waits and (not g.was_waiting or g.vt ~= g.vt0) then
                list_add(adds, 'ring', g.vt, name)
            elseif g.was_waiting and not waits then
                list_add(rems, 'ring', name)
            end
        end
    end
end

-- ---- Who is next ------------------------------------------------------------------------------------------------------
local function is_before(a, b)
    return a.vt < b.vt or (a.vt == b.vt and a.name < b.name)
end

-- The ring as it will stand after this call, lowest first: what is stored, and what has entered just now. A group that
-- this call has charged stands further back than stored, so as many more are read.
local function ring_list(c, want)
    local list, names, stored_groups = {}, {}, 0
    for _, r in ipairs(c.order) do
        stored_groups = stored_groups + (r.group ~= 0 and 1 or 0)
    end
    local stored = redis.call('ZRANGE', c.pre .. 'ring', 0, want + stored_groups - 1, 'WITHSCORES')
    for k = 1, #stored, 2 do
        local name = stored[k]
        local r = c.recs[name]
        if sub(name, 1, 2) == 'g:' then
            names[#names + 1] = name
        elseif not r or (r.place == 'ring' and r.place0 == 'ring') then
            list[#list + 1] = { name = name, vt = tonumber(stored[k + 1]) }
        end
    end
    groups_settle(c, names, {})
    for name, g in pairs(c.groups) do
        if g.next > g.first then
            list[#list + 1] = { name = name, vt = g.vt, g = g }
        end
    end
    for _, r in ipairs(c.order) do
        if r.group == 0 and r.place == 'ring' and r.place0 ~= 'ring' then
            list[#list + 1] = { name = r.imp, vt = r.vt }
        end
    end
    table.sort(list, is_before)
    return list
end

-- Up to `want` picks {imp = id, vt = where the ring stood, slot = field or nil}. A group is moved back by one start for each
-- of its picks; what they start beyond that is charged when it is known.
local function ring_picks(c, want)
    local list, picks, fields, at = ring_list(c, want), {}, {}, 1
    while #picks < want and list[at] do
        local e, g = list[at], list[at].g
        local pick = { imp = e.name, vt = e.vt, g = g }
        picks[#picks + 1] = pick
        if g then
            pick.slot = slot_name(g.id, g.first)
            pick.imp = c.f[pick.slot]
            fields[#fields + 1] = not pick.imp and pick.slot or nil
            g.first, g.is_changed, e.vt = g.first + 1, true, e.vt + floor(1000000 / g.weight)
        end
        if g and g.next > g.first then
            local k = at
            while list[k + 1] and is_before(list[k + 1], e) do
                list[k] = list[k + 1]
                k = k + 1
            end
            list[k] = e
        else
            at = at + 1
        end
    end
    local got, k = #fields > 0 and redis.call('HMGET', c.h, unpack(fields)) or {}, 0
    for _, pick in ipairs(picks) do
        if pick.slot and not pick.imp then
            k = k + 1
            pick.imp = got[k]
        end
        if pick.slot then
            c.f[pick.slot] = false
        end
    end
    return picks
end

