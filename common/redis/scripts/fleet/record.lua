#!lua name=orgimport_1
-- The queue in Redis: every rule a second time, beside common/queue/transition.c (same order, same names), and the calls.
--
-- Reads come first, then the rules work on records in memory, then commit() writes: Redis does not roll back, so nothing
-- may fail after the first write. Time is Redis's. No KEYS, no SCAN, nothing that grows with the backlog.
-- Functions end in _1. Once released, a change of meaning gets a library orgimport_2 beside this one (README.md of
-- common/queue, "Upgrades").
--
-- KEYS[1] is always f:{SHARD}:h; all other keys share its tag.

local PENDING, READY, BLOCKED, ACTIVE, DELAYED, WAITING, DONE, FAILED, DEAD, CANCELLED, SKIPPED =
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local IMPORT_STATES = { [0] = 'accepted', 'running', 'waiting', 'held', 'paused', 'failed', 'completed', 'cancelled',
    'undoing', 'undone' }
local STEP_STATES = { [0] = 'PENDING', 'READY', 'BLOCKED', 'ACTIVE', 'DELAYED', 'WAITING', 'DONE', 'FAILED', 'DEAD',
    'CANCELLED', 'SKIPPED' }
local I_ACCEPTED, I_RUNNING, I_WAITING, I_HELD, I_PAUSED, I_FAILED, I_COMPLETED, I_CANCELLED, I_UNDOING, I_UNDONE =
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9
local P_NONE, P_OPERATOR, P_ORGIMPORT = 0, 2, 4
local CLASS_READER, CLASS_WRITER, ON_FAIL_CONTINUE = 1, 2, 1
local ACTIVE_MAX, WRITERS_MAX, READERS_MAX, QUANTUM, CRASHES_MAX, DELAY_MS_MAX = 5, 1, 4, 8, 5, 315360000000
local ITEMS_MAX, CLAIMS_MAX, TIMERS_MAX, EVENTS_MAX = 32, 32, 64, 100000
local HEAD, STEP, COUNTERS = '<I8I4I4I4c8BBBBBBBBBBc8I8I8I8I4I2', '<BBBBI4I6BBI4', '<I4I8I8'
local NAME_BYTES, HEAD_BYTES, STEP_BYTES, LAYOUT = 20, 76, 20, 2
local NOBODY = '\0\0\0\0\0\0\0\0'
local SIGNAL_KEYS = { 'done', 'reject', 'recheck', 'accept' }
-- Redis 7.0 shows the standard libraries to running functions only, not while a library loads: see register().
local byte, sub, floor, max, min

-- CLOCK: the differential test replaces this function.
local function clock_us()
    local t = redis.call('TIME')
    return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- Asked once per call, and only where something depends on it. The stamp tells this call's records from all others.
local function know_time(c)
    if not c.now then
        c.now_us = clock_us()
        c.now = floor(c.now_us / 1000)
        c.stamp = c.now_us % 4294967296
    end
end

-- Flag words are single bits; Lua 5.1 has no operators for them.
local function has(word, bit)
    return word % (bit + bit) >= bit
end
local function with(word, bit)
    return has(word, bit) and word or word + bit
end
local function without(word, bit)
    return has(word, bit) and word - bit or word
end
local IS_PAUSED, IS_CANCELLED, HAS_CLAIM, IS_UNDOING, IS_STOPPING = 1, 2, 8, 16, 32
local S_HELD, S_SIGNALLED, S_RELEASED, S_TASK, S_SIGNALS = 1, 2, 4, 8, 16

-- Eight little-endian bytes and their text as a number in hex.
local function hex8(raw)
    return (string.gsub(string.reverse(raw), '.', function(b) return string.format('%02x', byte(b)) end))
end
local function unhex8(text)
    return string.reverse((string.gsub(text, '%x%x', function(b) return string.char(tonumber(b, 16)) end)))
end

-- ---- Records ---------------------------------------------------------------------------------------------------------
local function step_at(r, i)
    local d = r.d[i]
    if not d then
        d = {}
        local _
        _, d.deps, d.attempts, d.crashes, d.claim_version, d.due, d.flags, d.party, d.lines =
            struct.unpack(STEP, r.bytes, 1 + HEAD_BYTES + STEP_BYTES * i)
        r.d[i] = d
    end
    return d
end

local function record_read(bytes)
    local len = bytes and #bytes or 0
    if len < HEAD_BYTES + STEP_BYTES or len > HEAD_BYTES + 64 * STEP_BYTES or (len - HEAD_BYTES) % STEP_BYTES ~= 0 then
        return nil
    end
    local r, spare = { bytes = bytes, s = {}, d = {} }, 0
    r.fence, r.nonce, r.version, r.stamp, r.session, r.state, r.count, r.remaining, r.writers, r.readers, r.flags,
        r.run, r.weight, r.party, r.layout, r.dag, r.vt, r.created, r.since, r.group, spare = struct.unpack(HEAD, bytes)
    if r.layout ~= LAYOUT or r.weight == 0 or spare ~= 0 or r.count ~= (len - HEAD_BYTES) / STEP_BYTES then
        return nil
    end
    for i = 0, r.count - 1 do
        r.s[i] = byte(bytes, 1 + HEAD_BYTES + STEP_BYTES * i)
    end
    return r
end

local function record_write(r)
    local out = { struct.pack(HEAD, r.fence, r.nonce, r.version, r.stamp, r.session, r.state, r.count, r.remaining,
        r.writers, r.readers, r.flags, r.run, r.weight, r.party, r.layout, r.dag, r.vt, r.created, r.since, r.group,
        0) }
    local from = 0
    for i = 0, r.count - 1 do
        local d = r.d[i]
        if d then
            if from < i then
                out[#out + 1] = sub(r.bytes, 1 + HEAD_BYTES + STEP_BYTES * from, HEAD_BYTES + STEP_BYTES * i)
            end
            out[#out + 1] = struct.pack(STEP, r.s[i], d.deps, d.attempts, d.crashes, d.claim_version, d.due, d.flags,
                d.party, d.lines)
            from = i + 1
        end
    end
    if from < r.count then
        out[#out + 1] = sub(r.bytes, 1 + HEAD_BYTES + STEP_BYTES * from)
    end
    return table.concat(out)
end

-- Shapes are content-addressed, so keeping them between calls is safe.
local dags, dag_count = {}, 0

local function dag_read(bytes)
    if not bytes or byte(bytes, 1) ~= 1 then
        return nil
    end
    local dag, at = { count = byte(bytes, 2) }, 3
    for i = 0, dag.count - 1 do
        local class, on_fail, attempts_max, needs = byte(bytes, at, at + 3)
        if not needs then
            return nil
        end
        dag[i] = { class = class, on_fail = on_fail, attempts_max = attempts_max, next = {}, needs = { byte(bytes, at + 4, at + 3 + needs) } }
        at = at + 4 + needs
    end
    for i = 0, dag.count - 1 do
        for _, need in ipairs(dag[i].needs) do
            local next = dag[need] and dag[need].next
            if not next then
                return nil
            end
            next[#next + 1] = i
        end
    end
    return at == #bytes + 1 and dag or nil
end

local function dag_of(c, r)
    local dag = dags[r.dag]
    if not dag then
        dag = dag_read(redis.call('HGET', c.h, 'd:' .. hex8(r.dag)))
        if dag_count >= 256 then
            dags, dag_count = {}, 0
        end
        if dag then
            dags[r.dag] = dag
            dag_count = dag_count + 1
        end
    end
    return dag and dag.count == r.count and dag or nil
end

