
-- ---- Retiring: an ended look for drift goes, whole --------------------------------------------------------------------
local RETIRE_FIELDS, RETIRE_STEPS, RETIRE_DECISIONS = 50, 5, 40
local RETIRE_SUFFIXES = { '', '=', '^', '?', '#', '!done', '!reject', '!recheck', '!accept' }

-- A big result stands in a key of its own; its field is a stub that names it.
local function add_blob(c, imp, text, keys)
    local digest = text and string.match(text, '^{[^{}]*"%$blob":"(%x+)"[^{}]*}$')
    if digest then
        keys[#keys + 1] = c.pre .. 'b:' .. imp .. ':' .. digest
    end
end

-- The end of a step's chain, at most 50 fields; the record then counts what is left, so the chain holds together.
local function retire_lines(c, r, i)
    local d, fields, first = step_at(r, i), {}, nil
    for n = max(1, d.lines - RETIRE_FIELDS + 1), d.lines do
        fields[#fields + 1] = r.imp .. '/' .. i .. '>' .. n
    end
    for k, entry in ipairs(redis.call('HMGET', c.h, unpack(fields))) do
        if entry and not first then -- an entry stands under the number of its first line
            first = d.lines - #fields + k
        end
    end
    redis.call('HDEL', c.h, unpack(fields))
    d.lines = first and first - 1 or d.lines - #fields
    r.version, r.stamp = r.version + 1, c.stamp
    redis.call('HSET', c.h, r.imp, record_write(r))
end

-- Texts of steps `from` to `to`: at most 45 fields and 10 keys.
local function retire_texts(c, imp, from, to)
    local fields, keys = {}, {}
    for i = from, to do
        for _, suffix in ipairs(RETIRE_SUFFIXES) do
            fields[#fields + 1] = imp .. '/' .. i .. suffix
        end
        for _, text in ipairs(redis.call('HMGET', c.h, imp .. '/' .. i .. '=', imp .. '/' .. i .. '^')) do
            add_blob(c, imp, text, keys)
        end
    end
    if #keys > 0 then
        redis.call('UNLINK', unpack(keys))
    end
    redis.call('HDEL', c.h, unpack(fields))
end

-- The record, its places in the indexes, and the few decisions, which no record counts.
local function retire_record(c, r, decisions)
    local fields = { r.imp, r.imp .. ':d', r.imp .. ':c', r.imp .. ':a', r.imp .. '~', r.imp .. '!swap' }
    for n = 1, decisions do
        fields[#fields + 1] = r.imp .. '>' .. n
    end
    redis.call('UNLINK', c.pre .. 'trail:' .. r.imp)
    redis.call('ZREM', c.pre .. 'ix:' .. IMPORT_STATES[r.state], r.imp)
    redis.call('ZREM', c.pre .. 'all', r.imp)
    redis.call('HDEL', c.h, unpack(fields))
end

-- args: import, first step of this piece. Ledgers first, then texts, then the record with its places: audits are content
-- at every moment between. Replies {0, from}: ask again with it; {0}: all is gone; {1}: it was; {2, why not}.
local function retire(keys, args)
    local imp, from = args[1], tonumber(args[2])
    local got = redis.call('HMGET', keys[1], imp, imp .. ':a', imp .. '~')
    if not got[1] then
        return { 1 }
    end
    local r, c = record_read(got[1]), { h = keys[1], pre = sub(keys[1], 1, -2) }
    local decisions = tonumber(string.match(got[3] or '', '^(%d+)') or '0')
    if not r or not from or sub(got[2] or '', 1, 6) ~= 'drift/' then
        return { 2, 'this is no look for drift' }
    elseif r.remaining > 0 then
        return { 2, 'the look is ' .. IMPORT_STATES[r.state] }
    elseif decisions > RETIRE_DECISIONS then
        return { 2, 'it has more decisions than looks have' }
    end
    know_time(c)
    r.imp = imp
    for i = 0, r.count - 1 do
        if step_at(r, i).lines > 0 then
            retire_lines(c, r, i)
            return { 0, from }
        end
    end
    if from < r.count then
        retire_texts(c, imp, from, min(from + RETIRE_STEPS, r.count) - 1)
        return { 0, from + RETIRE_STEPS }
    end
    retire_record(c, r, decisions)
    return { 0 }
end
