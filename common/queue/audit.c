/* Walks a shard and checks that what Redis holds is one consistent whole. Each import is read in one MULTI, so the
 * audit may run beside a working fleet; whatever any index names is looked at, so nothing orphaned escapes.
 *
 *   sources (HSCAN records, ZSCAN ring due tasks all ix:*, SCAN own:*) -> ids -> record, shape -> MULTI snapshot ->
 * checks
 *   -> counters and sessions -> next shard */
#include "common/queue/audit_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define SCAN_COUNT "500"
#define RECOUNTS_MAX 5
#define TRIES_MAX 20
enum {
    SOURCE_HASH,
    SOURCE_RING,
    SOURCE_DUE,
    SOURCE_TASKS,
    SOURCE_ALL,
    SOURCE_IX,
    SOURCE_OWN_KEYS = SOURCE_IX + IMPORT_STATE_COUNT,
    SOURCE_COUNT
};
/* Order of the snapshot's commands. */
enum {
    SNAP_FIELDS,
    SNAP_RING,
    SNAP_DUE,
    SNAP_ALL,
    SNAP_TASKS,
    SNAP_SESS,
    SNAP_IX,
    SNAP_OWN = SNAP_IX + IMPORT_STATE_COUNT
};

struct audit {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
    uint32_t shard;
    int source;
    json_t *faults;
    json_t *ids;  /* import id -> true */
    json_t *owns; /* session hex -> true, from own:* keys */
    json_t *gone; /* import id -> whether a field of it was found again: retired meanwhile, or torn */
    struct audit_groups groups;
    bool is_rescan;
    unsigned recounts; /* the ring had groups that the walk did not know yet */
    size_t checked;
    /* The import at work. */
    void *at;
    struct audit_import im;
    char id[IMPORT_ID_BYTES], session[17], account[160];
    uint32_t tries, decisions;
};

static void audit_end(struct audit *a, const struct err *err)
{
    struct queue *q = a->q;
    json_t *ret = err ? NULL : json_make("{s:I, s:O}", "checked", (json_int_t)a->checked, "faults", a->faults);
    a->done(a->arg, err, ret);
    json_decref(a->faults);
    json_decref(a->ids);
    json_decref(a->owns);
    json_decref(a->gone);
    audit_groups_free(&a->groups);
    mem_free(a);
    queue_unref(q);
}

static void next_source(struct audit *a);
static void next_import(struct audit *a);
static void check_shard(struct audit *a);

/* ---- Which imports there are
 * ------------------------------------------------------------------------------------------ */
static void source_name(const struct audit *a, char ret[64])
{
    static const char *const names[] = {"h", "ring", "due", "tasks", "all"};
    if (a->source < SOURCE_IX)
        (void)snprintf(ret, 64, "%s", names[a->source]);
    else
        (void)snprintf(ret, 64, "ix:%s", import_state_name((enum import_state)(a->source - SOURCE_IX)));
}

static void keep_id(struct audit *a, const char *member, const redisReply *value)
{
    char id[IMPORT_ID_BYTES];
    size_t len = strcspn(member, "/:~>!");
    if ((a->source == SOURCE_HASH || a->source == SOURCE_RING) && !a->is_rescan &&
        audit_groups_scan(&a->groups, member, a->source == SOURCE_HASH ? value : NULL))
        return;
    if (len >= sizeof id || (a->source == SOURCE_HASH && !str_starts(member, "imp_")))
        return;
    (void)snprintf(id, sizeof id, "%.*s", (int)len, member);
    if (a->is_rescan) {
        if (json_object_get(a->gone, id))
            json_put_bool(a->gone, id, true);
    } else if (queue_id_is_valid(a->q, id))
        json_object_set_new(a->ids, id, json_true());
    else
        audit_fault(a->faults, "I1", "fleet", "an index names something that is no import id");
}

static void keep_own_key(struct audit *a, const char *key)
{
    const char *at = strstr(key, "}:own:");
    if (at)
        json_object_set_new(a->owns, at + 6, json_true());
}

static void scan(struct audit *a, const char *cursor);

static void tell_torn(struct audit *a)
{
    const char *id = NULL;
    json_t *is_there = NULL;
    json_object_foreach (a->gone, id, is_there)
        if (json_is_true(is_there))
            audit_fault(a->faults, "I1", id, "fields without a record");
    json_object_clear(a->gone);
    a->is_rescan = false;
    check_shard(a);
}

static void on_scan(void *arg, const struct err *fault, const redisReply *reply)
{
    struct audit *a = arg;
    const char *cursor = queue_reply_text(queue_reply_at(reply, 0));
    const redisReply *list = queue_reply_at(reply, 1);
    if (fault || !cursor || !list) {
        audit_end(a, fault);
        return;
    }
    size_t step = a->source == SOURCE_OWN_KEYS ? 1 : 2; /* the others come with values or scores */
    for (size_t i = 0; i + step <= list->elements; i += step) {
        const char *text = queue_reply_text(list->element[i]);
        if (text && a->source == SOURCE_OWN_KEYS)
            keep_own_key(a, text);
        else if (text)
            keep_id(a, text, list->element[i + 1]);
    }
    if (!str_eq(cursor, "0")) {
        scan(a, cursor);
        return;
    }
    if (a->is_rescan) {
        tell_torn(a);
        return;
    }
    if (a->recounts) {
        check_shard(a);
        return;
    }
    a->source++;
    next_source(a);
}

static void scan(struct audit *a, const char *cursor)
{
    struct queue_args args = {0};
    char name[64];
    if (a->source == SOURCE_OWN_KEYS) {
        args = queue_keyless(a->q, "SCAN", a->shard);
        queue_args_add(&args, cursor);
        queue_args_add(&args, "MATCH");
        queue_args_addf(&args, "%s:{%u}:own:*", a->q->prefix, a->shard);
    } else {
        source_name(a, name);
        args = queue_plain(a->q, a->source == SOURCE_HASH ? "HSCAN" : "ZSCAN", a->shard, name);
        queue_args_add(&args, cursor);
    }
    queue_args_add(&args, "COUNT");
    queue_args_add(&args, SCAN_COUNT);
    queue_call(a->q, &args, on_scan, a);
}

static void next_source(struct audit *a)
{
    if (a->source < SOURCE_COUNT) {
        scan(a, "0");
        return;
    }
    a->at = json_object_iter(a->ids);
    next_import(a);
}

/* ---- One import
 * ------------------------------------------------------------------------------------------------------- */
static int64_t score_of(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING ? (int64_t)queue_reply_u64(reply) : -1;
}

static void read_own(struct audit *a, const redisReply *exec)
{
    const char *session;
    json_t *value;
    size_t i = SNAP_OWN;
    json_object_foreach (a->owns, session, value) {
        bool is_in = queue_reply_u64(queue_reply_at(exec, i++)) != 0;
        if (str_eq(session, a->session))
            a->im.is_in_own = is_in;
        else
            a->im.is_in_other_own |= is_in;
    }
    if (*a->session && !json_object_get(a->owns, a->session))
        a->im.is_in_own = queue_reply_u64(queue_reply_at(exec, i)) != 0;
}

static void read_fields(struct audit *a, const redisReply *fields)
{
    struct audit_import *im = &a->im;
    const char *account_import = queue_reply_text(queue_reply_at(fields, 1)),
               *head = queue_reply_text(queue_reply_at(fields, 2));
    im->is_in_account = account_import && str_eq(account_import, im->id);
    (void)snprintf(im->decision_head, sizeof im->decision_head, "%s", head ? head : "");
    im->has_credential = queue_reply_text(queue_reply_at(fields, 3)) != NULL;
    im->session_lives &= queue_reply_text(queue_reply_at(fields, 4)) != NULL;
    im->has_differed = queue_reply_text(queue_reply_at(fields, 5)) != NULL;
    const char *queued = queue_reply_text(queue_reply_at(fields, 6));
    im->is_in_queue = queued && str_eq(queued, im->id);
    for (size_t k = 0; k < im->record.step_count; k++)
        im->has_task_text[k] = queue_reply_text(queue_reply_at(fields, 7 + k)) != NULL;
    a->decisions = (uint32_t)queue_reply_u64(queue_reply_at(fields, 2));
}

/* ---- Its ledger: lines that the snapshot's record counts never change, so they may be read after it ---- */
static void import_end(struct audit *a)
{
    audit_check_import(&a->im, a->faults);
    audit_groups_count(&a->groups, &a->im);
    json_decref(TAKE(a->im.chains));
    a->checked++;
    a->tries = 0;
    a->at = json_object_iter_next(a->ids, a->at);
    next_import(a);
}

static uint32_t lines_of(const struct audit *a, size_t chain)
{
    return chain < a->im.record.step_count ? a->im.record.steps[chain].lines : a->decisions;
}

static void on_ledger(void *arg, const struct err *fault, const redisReply *reply)
{
    struct audit *a = arg;
    size_t at = 0;
    if (fault) {
        audit_end(a, fault);
        return;
    }
    for (size_t c = 0; c <= a->im.record.step_count; c++) {
        json_t *chain = json_array();
        for (uint32_t n = lines_of(a, c); n; n--)
            queue_ledger_lines(queue_reply_text(queue_reply_at(reply, at++)), chain);
        (void)json_array_append_new(a->im.chains, chain);
    }
    import_end(a);
}

static void ask_ledger(struct audit *a)
{
    size_t fields = 0, steps = a->im.record.step_count;
    struct queue_args args = queue_plain(a->q, "HMGET", a->shard, "h");
    a->im.chains = json_array();
    for (size_t c = 0; c <= steps; c++)
        fields += queue_ledger_fields(&args, a->id, c < steps ? (int)c : -1, lines_of(a, c));
    if (fields) {
        queue_call(a->q, &args, on_ledger, a);
        return;
    }
    queue_args_done(&args);
    import_end(a);
}

/* No record and no index names it: retired while we walked, unless a field of it is found again at the end. */
static bool is_named_nowhere(const redisReply *exec)
{
    bool is_named = score_of(queue_reply_at(exec, SNAP_RING)) >= 0 || score_of(queue_reply_at(exec, SNAP_DUE)) >= 0 ||
                    score_of(queue_reply_at(exec, SNAP_ALL)) >= 0;
    for (size_t s = 0; s < IMPORT_STATE_COUNT; s++)
        is_named = is_named || score_of(queue_reply_at(exec, SNAP_IX + s)) >= 0;
    return !is_named;
}

/* A MULTI was refused where its shard is no more (or not yet again): asked again, by the newer map. */
static bool has_moved(struct audit *a, const struct err *fault)
{
    return fault->code == ERR_REDIS && fault->applied == APPLIED_NO && ++a->tries < TRIES_MAX;
}

/* The record may have moved since the snapshot was put together; then it is taken again. */
static void on_snapshot(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct audit *a = arg;
    struct audit_import *im = &a->im;
    struct record now;
    struct err err;
    char hex[17] = "";
    if (fault && has_moved(a, fault)) {
        next_import(a);
        return;
    }
    if (fault) {
        audit_end(a, fault);
        return;
    }
    const redisReply *exec = replies[count - 1];
    const redisReply *fields = queue_reply_at(exec, SNAP_FIELDS);
    bool has_record = queue_reply_record(queue_reply_at(fields, 0), &now, &err) == 0;
    if (has_record && now.session)
        queue_hex(now.session, hex);
    bool has_moved = has_record && (!str_eq(hex, a->session) || (now.group && now.vt != im->record.vt));
    if (has_moved && ++a->tries < TRIES_MAX) {
        next_import(a);
        return;
    }
    if (!has_record && is_named_nowhere(exec)) {
        json_put_bool(a->gone, a->id, false);
        a->at = json_object_iter_next(a->ids, a->at);
        next_import(a);
        return;
    }
    im->has_record = has_record;
    if (has_record)
        im->record = now;
    im->ring = score_of(queue_reply_at(exec, SNAP_RING));
    im->due = score_of(queue_reply_at(exec, SNAP_DUE));
    im->all = score_of(queue_reply_at(exec, SNAP_ALL));
    im->session_lives = score_of(queue_reply_at(exec, SNAP_SESS)) >= 0;
    for (size_t s = 0; s < IMPORT_STATE_COUNT; s++)
        im->ix[s] = score_of(queue_reply_at(exec, SNAP_IX + s));
    for (size_t k = 0; k < im->record.step_count; k++)
        im->task[k] = score_of(queue_reply_at(queue_reply_at(exec, SNAP_TASKS), k));
    read_fields(a, fields);
    read_own(a, exec);
    ask_ledger(a);
}

static struct queue_args snap_fields(const struct audit *a)
{
    struct queue_args f = queue_plain(a->q, "HMGET", a->shard, "h");
    queue_args_add(&f, a->id);
    queue_args_addf(&f, "acct:%s", a->account);
    queue_args_addf(&f, "%s~", a->id);
    queue_args_addf(&f, "%s:c", a->id);
    queue_args_addf(&f, "s:%s", a->session);
    queue_args_addf(&f, "%s!swap", a->id);
    queue_args_addf(&f, "q:%08x:%llu", a->im.record.group, (unsigned long long)a->im.record.vt);
    for (unsigned k = 0; k < a->im.record.step_count; k++)
        queue_args_addf(&f, "%s/%u?", a->id, k);
    return f;
}

static struct queue_args snap_of(const struct audit *a, const char *command, const char *key, const char *member)
{
    struct queue_args args = queue_plain(a->q, command, a->shard, key);
    queue_args_add(&args, member);
    return args;
}

/* MULTI, the commands, EXEC: sent in one go, so nothing of others comes between them. */
static void call_together(struct audit *a, struct queue_args *args, size_t count, queue_many_fn *done)
{
    for (size_t i = 0; i < count; i++)
        args[i].way = QUEUE_ONCE;
    queue_call_many(a->q, args, count, done, a);
}

static void snapshot(struct audit *a)
{
    size_t own_max = json_object_size(a->owns) + 1, n = 0;
    struct queue_args *args = mem_alloc((SNAP_OWN + own_max + 2) * sizeof *args);
    char name[96];
    args[n++] = queue_keyless(a->q, "MULTI", a->shard);
    args[n++] = snap_fields(a);
    args[n++] = snap_of(a, "ZSCORE", "ring", a->id);
    args[n++] = snap_of(a, "ZSCORE", "due", a->id);
    args[n++] = snap_of(a, "ZSCORE", "all", a->id);
    args[n] = queue_plain(a->q, "ZMSCORE", a->shard, "tasks");
    for (unsigned k = 0; k < (a->im.record.step_count ? a->im.record.step_count : 1u); k++)
        queue_args_addf(&args[n], "%s/%u", a->id, k);
    n++;
    args[n++] = snap_of(a, "ZSCORE", "sess", a->session);
    for (int s = 0; s < IMPORT_STATE_COUNT; s++) {
        (void)snprintf(name, sizeof name, "ix:%s", import_state_name((enum import_state)s));
        args[n++] = snap_of(a, "ZSCORE", name, a->id);
    }
    const char *session;
    json_t *value;
    json_object_foreach (a->owns, session, value) {
        (void)snprintf(name, sizeof name, "own:%.64s", session);
        args[n++] = snap_of(a, "SISMEMBER", name, a->id);
    }
    if (*a->session && !json_object_get(a->owns, a->session)) {
        (void)snprintf(name, sizeof name, "own:%s", a->session);
        args[n++] = snap_of(a, "SISMEMBER", name, a->id);
    }
    args[n++] = queue_keyless(a->q, "EXEC", a->shard);
    call_together(a, args, n, on_snapshot);
    mem_free(args);
}

static void on_shape(void *arg, const struct err *fault, const redisReply *reply)
{
    struct audit *a = arg;
    struct err err;
    if (fault) {
        audit_end(a, fault);
        return;
    }
    a->im.has_dag = reply->type == REDIS_REPLY_STRING && dag_unpack(reply->str, reply->len, &a->im.dag, &err) == 0 &&
                    dag_hash(&a->im.dag) == a->im.record.dag;
    snapshot(a);
}

static void on_record(void *arg, const struct err *fault, const redisReply *reply)
{
    struct audit *a = arg;
    struct err err;
    char hash[17];
    if (fault) {
        audit_end(a, fault);
        return;
    }
    const char *account = queue_reply_text(queue_reply_at(reply, 1));
    (void)snprintf(a->account, sizeof a->account, "%.150s", account ? account : "");
    a->im = (struct audit_import){.id = a->id};
    a->session[0] = 0;
    a->im.has_record = queue_reply_record(queue_reply_at(reply, 0), &a->im.record, &err) == 0;
    if (!a->im.has_record) {
        snapshot(a);
        return;
    }
    if (a->im.record.session)
        queue_hex(a->im.record.session, a->session);
    queue_hex(a->im.record.dag, hash);
    struct queue_args args = queue_plain(a->q, "HGET", a->shard, "h");
    queue_args_addf(&args, "d:%s", hash);
    queue_call(a->q, &args, on_shape, a);
}

static void next_import(struct audit *a)
{
    if (!a->at && json_object_size(a->gone)) {
        a->is_rescan = true;
        a->source = SOURCE_HASH;
        scan(a, "0");
        return;
    }
    if (!a->at) {
        check_shard(a);
        return;
    }
    (void)snprintf(a->id, sizeof a->id, "%s", json_object_iter_key(a->at));
    struct queue_args args = queue_plain(a->q, "HMGET", a->shard, "h");
    queue_args_add(&args, a->id);
    queue_args_addf(&args, "%s:a", a->id);
    queue_call(a->q, &args, on_record, a);
}

/* ---- Counters and sessions of the shard
 * --------------------------------------------------------------------------------- */
static void start_shard(struct audit *a)
{
    json_object_clear(a->ids);
    json_object_clear(a->owns);
    audit_groups_clear(&a->groups);
    a->recounts = 0;
    a->source = SOURCE_HASH;
    next_source(a);
}

static uint64_t little_endian(const char *bytes, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return n;
}

static void check_next(struct audit *a, const char *what, const redisReply *first, uint64_t next)
{
    uint64_t earliest = queue_reply_u64(queue_reply_at(first, 1));
    if (earliest && (!next || next > earliest))
        audit_fault(a->faults, "I8", "fleet", "shard %u: next timer %llu is after the first %s %llu", a->shard,
                    (unsigned long long)next, what, (unsigned long long)earliest);
}

static void on_counters(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct audit *a = arg;
    if (fault && has_moved(a, fault)) {
        check_shard(a);
        return;
    }
    if (fault) {
        audit_end(a, fault);
        return;
    }
    a->tries = 0;
    const redisReply *exec = replies[count - 1], *counters = queue_reply_at(exec, 0);
    bool has = counters && counters->type == REDIS_REPLY_STRING && counters->len == 20;
    uint64_t ring = has ? little_endian(counters->str, 4) : 0, next = has ? little_endian(counters->str + 4, 8) : 0;
    size_t i = 5;
    bool has_groups = json_object_size(a->groups.seen) > 0;
    const redisReply *groups = has_groups ? queue_reply_at(exec, i) : NULL,
                     *scores = has_groups ? queue_reply_at(exec, i + 1) : NULL;
    i += has_groups ? 2 : 0;
    uint64_t members = queue_reply_u64(queue_reply_at(exec, 1)) +
                       audit_groups_check(&a->groups, groups, scores, a->recounts > 0, a->faults);
    if (ring != members && a->recounts++ < RECOUNTS_MAX) {
        a->source = SOURCE_RING;
        scan(a, "0");
        return;
    }
    if (ring != members)
        audit_fault(a->faults, "I5", "fleet", "shard %u: the ring has %llu imports, the counter says %llu", a->shard,
                    (unsigned long long)members, (unsigned long long)ring);
    check_next(a, "timer", queue_reply_at(exec, 2), next);
    check_next(a, "session end", queue_reply_at(exec, 3), next);
    if (queue_reply_u64(queue_reply_at(exec, 4)))
        audit_fault(a->faults, "I1", "fleet", "shard %u: imports were put aside because they cannot be read", a->shard);
    const char *session;
    json_t *value;
    json_object_foreach (a->owns, session, value) {
        bool lives = score_of(queue_reply_at(exec, i)) >= 0,
             has_imports = queue_reply_u64(queue_reply_at(exec, i + 1)) > 0;
        if (!lives && has_imports)
            audit_fault(a->faults, "I8", "fleet", "shard %u: session %s holds imports and has no deadline", a->shard,
                        session);
        i += 2;
    }
    if (++a->shard < a->q->shard_count)
        start_shard(a);
    else
        audit_end(a, NULL);
}

static void check_shard(struct audit *a)
{
    size_t n = 0;
    struct queue_args *args = mem_alloc((9 + 2 * json_object_size(a->owns)) * sizeof *args);
    static const char *const timers[] = {"due", "sess"};
    char name[96];
    args[n++] = queue_keyless(a->q, "MULTI", a->shard);
    args[n++] = snap_of(a, "HGET", "h", "#");
    args[n++] = queue_plain(a->q, "ZCARD", a->shard, "ring");
    for (size_t t = 0; t < 2; t++) {
        args[n] = snap_of(a, "ZRANGE", timers[t], "0");
        queue_args_add(&args[n], "0");
        queue_args_add(&args[n++], "WITHSCORES");
    }
    args[n++] = queue_plain(a->q, "SCARD", a->shard, "bad");
    n += audit_groups_ask(&a->groups, a->q, a->shard, &args[n]);
    const char *session;
    json_t *value;
    json_object_foreach (a->owns, session, value) {
        args[n++] = snap_of(a, "ZSCORE", "sess", session);
        (void)snprintf(name, sizeof name, "own:%.64s", session);
        args[n++] = queue_plain(a->q, "SCARD", a->shard, name);
    }
    args[n++] = queue_keyless(a->q, "EXEC", a->shard);
    call_together(a, args, n, on_counters);
    mem_free(args);
}

void queue_audit(struct queue *q, queue_json_fn *done, void *arg)
{
    struct audit *a = MEM_NEW(struct audit);
    *a = (struct audit){.q = queue_ref(q),
                        .done = done,
                        .arg = arg,
                        .faults = json_array(),
                        .ids = json_object(),
                        .owns = json_object(),
                        .gone = json_object()};
    audit_groups_new(&a->groups);
    start_shard(a);
}
