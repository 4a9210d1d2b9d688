/* Plays the steps ahead and keeps what they would do. The effects of writes are in foresight_iam.c and its neighbours.
 */
#include "worker/runtime/foresight_private.h"

#include "common/aws/rate.h"
#include "worker/runtime/step_private.h"

#include <stdio.h>

#define ROUNDS_MAX 80 /* entries of one step: each task, wait and pause takes one */
#define WRITES_MAX 500
#define LIVE_FRESH_MS 60000

struct foresight {
    struct step *outer, *inner;
    json_t *steps, *entry; /* what is foreseen; of the step that is played now */
    json_t *results;       /* of finished steps, foreseen ones included */
    json_t *seen;          /* live reads by digest: {op, args, region, facts} */
    json_t *last;          /* op -> [{args, facts}] as steps saw them, newest last */
    struct foresight_write *writes;
    size_t write_count;
    uint64_t clock_ms;
    bool is_waiting, has_failed; /* a live read is out, or failed: the outer step's affair */
};

static const struct foresight_effect effects[] = {
#define EFFECT(op, see, ...) {op, see, __VA_ARGS__},
#define EFFECT_NONE(op, ...) {op, NULL, __VA_ARGS__},
#include "worker/runtime/foresight_effects.def"
#undef EFFECT
#undef EFFECT_NONE
};

const struct foresight_effect *foresight_effect_of(const char *op)
{
    for (size_t i = 0; i < ARRAY_LEN(effects); i++)
        if (str_eq(effects[i].op, op))
            return &effects[i];
    return NULL;
}

uint64_t foresight_clock(const struct foresight *f)
{
    return f->clock_ms;
}

const json_t *foresight_import(const struct foresight *f)
{
    return f->outer->in.import;
}

void foresight_add(struct foresight *f, const char *what, json_t *args)
{
    ASSERT(f->write_count < WRITES_MAX && foresight_effect_of(what));
    f->writes = mem_resize(f->writes, (f->write_count + 1) * sizeof *f->writes);
    f->writes[f->write_count++] = (struct foresight_write){what, args, f->clock_ms};
}

/* ---- What is noted of the step that is played ---- */

/* Once, however often the function comes by. */
static void note(struct foresight *f, const char *list, json_t *one)
{
    json_t *all = json_object_get(f->entry, list);
    size_t i;
    const json_t *known;
    json_array_foreach (all, i, known) {
        if (json_equal(known, one)) {
            json_decref(one);
            return;
        }
    }
    (void)json_array_append_new(all, one);
}

void foresight_wait(struct foresight *f, uint64_t ms, const char *why)
{
    f->clock_ms += ms;
    note(f, "waits", json_make("{s:s}", "for", why));
}

void foresight_decision(struct foresight *f, enum err_code code, const char *text, const json_t *details)
{
    note(f, "decisions",
         json_make("{s:s, s:s, s:s, s:O}", "code", err_info(code)->name, "party", "operator", "text", text, "details",
                   details));
}

static void note_task(struct foresight *f, const json_t *task)
{
    static const char *const kept[] = {"party", "title", "actions", "link",          "check",
                                       "worst", "undo",  "attest",  "second_person", "data"};
    json_t *one = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_has(task, kept[i]))
            json_put(one, kept[i], json_deep_copy(json_at(task, kept[i])));
    uint64_t due = (uint64_t)json_int_at(task, "due_ms");
    json_put_int(one, "due_hours", due > f->clock_ms ? (int64_t)((due - f->clock_ms + 1800000) / 3600000) : 0);
    note(f, "tasks", one);
}

/* ---- Writes ---- */

json_t *foresight_answer(const char *op, const json_t *args, uint64_t now_ms)
{
    if (str_eq(op, "iam:CreateRole"))
        return json_make("{s:s, s:s, s:I}", "name", json_str_at(args, "RoleName"), "role_id", FORESIGHT_UNKNOWN,
                         "created_ms", (json_int_t)now_ms);
    if (str_eq(op, "partnercentral:CreateRelationship"))
        return json_make("{s:s}", "id", FORESIGHT_UNKNOWN);
    if (str_eq(op, "iam:CreatePolicyVersion"))
        return json_make("{s:s}", "version", FORESIGHT_UNKNOWN);
    return str_eq(op, "tax:PutTaxRegistration") ? json_make("{s:s}", "status", "Pending") : json_object();
}

/* "role {RoleName}" with members of the arguments put in. */
static json_t *filled(const char *template, const json_t *args)
{
    AUTO_STR struct str out;
    str_init(&out, 4096);
    for (const char *p = template; *p; p++) {
        size_t len = *p == '{' ? strcspn(p + 1, "}") : 0;
        if (!len) {
            str_add_char(&out, *p);
            continue;
        }
        AUTO_FREE char *path = mem_dup_bytes(p + 1, len);
        str_add(&out, json_str_at(args, path));
        p += len + 1;
    }
    return json_string(out.data);
}

const json_t *foresight_last_facts(const struct foresight *f, const char *op)
{
    const json_t *all = json_object_get(f->last, op);
    return json_object_get(json_array_get(all, json_array_size(all) - 1), "facts");
}

static const json_t *by_name(const json_t *reports, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach (reports, i, one)
        if (str_eq(json_str_at(one, "ReportName"), name))
            return one;
    return NULL;
}

/* The document as it is now, from the last read that showed it. NULL: there is none. */
static const json_t *before(const struct foresight *f, const struct foresight_effect *e, const json_t *args)
{
    const json_t *all = json_object_get(f->last, e->before_op);
    for (size_t i = json_array_size(all); i-- > 0;) {
        const json_t *one = json_array_get(all, i), *facts = json_object_get(one, "facts");
        AUTO_FREE char *path = mem_printf("args.%s", e->before_by);
        if (*e->before_by && !str_eq(json_str_at(one, path), json_str_at(args, e->before_by)))
            continue;
        const json_t *found = *e->before_path ? json_at(facts, e->before_path) : facts;
        if (str_eq(e->before_path, "reports"))
            found = by_name(found, json_str_at(args, "ReportName"));
        return json_is_null(found) ? NULL : found;
    }
    return NULL;
}

/* As the write would say it, so that the two can be compared. New reference. */
static json_t *before_shown(const struct foresight_effect *e, const json_t *was)
{
    static const char *const told_only[] = {"status", "jurisdiction", "taxDocumentMetadatas", "ReportStatus"};
    const char *key;
    json_t *value;
    if (!was)
        return json_null();
    if (str_eq(e->before_path, "tags")) {
        json_t *list = json_array();
        json_object_foreach ((json_t *)(uintptr_t)was, key, value)
            (void)json_array_append_new(list, json_make("{s:s, s:O}", "Key", key, "Value", value));
        json_sort_by(list, "Key");
        return list;
    }
    json_t *shown = json_deep_copy(was);
    for (size_t i = 0; json_is_object(shown) && i < ARRAY_LEN(told_only); i++)
        (void)json_object_del(shown, told_only[i]);
    return shown;
}

static void note_write(struct foresight *f, const struct ask *ask, const char *digest)
{
    const struct foresight_effect *e = foresight_effect_of(ask->op->name);
    json_t *one = json_make("{s:s, s:s, s:s, s:O, s:s, s:s}", "key", ask->key, "op", ask->op->name, "region",
                            ask->region ? ask->region : "", "args", ask->args, "digest", digest, "verb", e->verb);
    json_put(one, "resource", filled(e->resource, ask->args));
    json_put(one, "why", filled(e->why, ask->args));
    const json_t *was = *e->before_op ? before(f, e, ask->args) : NULL;
    if (*e->before_op)
        json_put(one, "before", before_shown(e, was));
    if (*e->document)
        json_put_str(one, "document", e->document);
    if (str_eq(e->verb, "change") && *e->before_op && !was && str_starts(ask->op->name, "tax:"))
        json_put_str(one, "verb", "create");
    (void)json_array_append_new(json_object_get(f->entry, "calls"), one);
}

static void note_mail(struct foresight *f, const struct ask *ask)
{
    note(f, "mails",
         json_make("{s:s, s:s, s:s}", "key", ask->key, "to", json_str_at(ask->args, "to"), "subject",
                   json_str_at(ask->args, "subject")));
}

static enum step_result plan_write(struct foresight *f, struct ask *ask, const char *digest, const json_t **ret)
{
    struct step *s = f->inner;
    const json_t *entry = journal_write(&s->journal, ask->key);
    if (entry && (!str_eq(json_str_at(entry, "op"), ask->op->name) || !str_eq(json_str_at(entry, "args"), digest)))
        return step_fail_internal(s, ERR_DRIFT, ask->key, "one key was asked with two sets of arguments");
    if (!entry) {
        json_auto_t *facts = foresight_answer(ask->op->name, ask->args, f->clock_ms);
        journal_intend(&s->journal, ask->key,
                       &(struct journal_intent){
                           .op = ask->op->name, .args_digest = digest, .fence = "", .nonce = "", .at_ms = f->clock_ms});
        journal_answer(&s->journal, ask->key, facts, NULL);
        if (ask->op == &step_op_mail)
            note_mail(f, ask);
        else
            note_write(f, ask, digest);
        foresight_add(f, ask->op->name, json_incref(ask->args));
        entry = journal_write(&s->journal, ask->key);
    }
    *ret = json_object_get(entry, "facts");
    return STEP_DONE;
}

/* ---- Reads ---- */

static json_t *fold(const struct foresight *f, const struct ask *ask, json_t *facts)
{
    struct foresight_read r = {.op = ask->op->name, .args = ask->args, .import = f->outer->in.import};
    for (size_t i = 0; i < f->write_count; i++) {
        const struct foresight_effect *e = foresight_effect_of(f->writes[i].what);
        if (e->see)
            facts = e->see(&r, &f->writes[i], facts);
    }
    return facts;
}

static void note_seen(struct foresight *f, const struct ask *ask, const char *digest, const json_t *live)
{
    json_auto_t *name = json_sprintf("%s %s", ask->op->name, digest);
    if (!json_object_get(f->seen, json_string_value(name)))
        json_put(f->seen, json_string_value(name),
                 json_make("{s:s, s:O, s:s, s:O}", "op", ask->op->name, "args", ask->args, "region",
                           ask->region ? ask->region : "", "facts", live));
}

/* As a read of the outer step: one for all steps that ask the same, so that they see one moment. */
static enum step_result live_read(struct foresight *f, const struct ask *ask, const char *digest, const json_t **ret)
{
    bool is_runtime = str_starts(ask->op->name, "runtime:");
    json_t *args = json_incref(ask->args);
    if (ask->op == &step_op_events) {
        json_decref(args);
        args = json_make("{s:i}", "fresh_ms", LIVE_FRESH_MS);
    }
    const char *key = is_runtime ? ask->key : step_text(f->outer, "plan/%s/%.24s", ask->op->name, digest);
    enum step_result r = step_ask(
        f->outer,
        &(struct ask){
            .key = key, .op = ask->op, .args = args, .region = ask->region, .codes = ask->codes, .must_be_fresh = true},
        NULL, ret);
    f->is_waiting |= r == STEP_WAIT;
    f->has_failed |= r == STEP_FAIL;
    if (r == STEP_DONE)
        note_seen(f, ask, digest, *ret);
    return r;
}

static void remember(struct foresight *f, const struct ask *ask, const json_t *facts)
{
    json_t *all = json_object_get(f->last, ask->op->name);
    if (!all) {
        all = json_array();
        json_put(f->last, ask->op->name, all);
    }
    (void)json_array_append_new(all, json_make("{s:O, s:O}", "args", ask->args, "facts", facts));
    json_t *counts = json_object_get(f->entry, "reads");
    json_put_int(counts, ask->op->name, json_int_at(counts, ask->op->name) + 1);
}

static enum step_result plan_read(struct foresight *f, struct ask *ask, const char *digest, const json_t **ret)
{
    json_t *facts = fold(f, ask, NULL);
    if (!facts) {
        const json_t *live = NULL;
        enum step_result r = live_read(f, ask, digest, &live);
        if (r != STEP_DONE)
            return r;
        /* A refusal is an answer, and nothing that was planned makes AWS say anything else. */
        bool is_as_told = json_has(live, "error") || !f->write_count;
        facts = is_as_told ? json_incref((json_t *)(uintptr_t)live) : fold(f, ask, json_deep_copy(live));
    }
    *ret = step_keep(f->inner, facts);
    remember(f, ask, facts);
    return STEP_DONE;
}

enum step_result foresight_ask(struct step *s, struct ask *ask, const json_t **ret)
{
    char digest[65];
    enum step_result r;
    ASSERT(s->plan->inner == s);
    step_digest_args(ask, digest);
    if (!step_declares(s, ask->op))
        r = step_fail_internal(s, ERR_OP_UNDECLARED, ask->op->name, "not in the step's manifest");
    else if (ask->op->mutates)
        r = plan_write(s->plan, ask, digest, ret);
    else
        r = plan_read(s->plan, ask, digest, ret);
    json_decref(TAKE(ask->args));
    return r;
}

/* ---- One step ---- */

static void begin(struct foresight *f, struct step *inner, const struct step_def *def)
{
    struct err err = {0};
    *inner = (struct step){.magic = STEP_MAGIC,
                           .host = f->outer->host,
                           .host_data = f->outer->host_data,
                           .plan = f,
                           .in = {.def = def, .import = f->outer->in.import, .results = f->results}};
    ASSERT(journal_init(&inner->journal, NULL, &err) == 0);
    str_init(&inner->ledger, LEDGER_BYTES_MAX);
    inner->in.signals = json_object();
    f->inner = inner;
    f->entry = json_make("{s:s, s:s, s:b, s:[], s:[], s:[], s:[], s:[], s:{}}", "step", def->name, "item", def->item,
                         "only_looks", (int)def->only_looks, "calls", "tasks", "mails", "decisions", "waits", "reads");
}

static void end(struct foresight *f)
{
    struct step *inner = TAKE(f->inner);
    step_clear_entry(inner);
    json_decref((json_t *)(uintptr_t)inner->in.signals);
    journal_done(&inner->journal);
    str_done(&inner->ledger);
}

static const char *end_done(struct foresight *f, const struct step *inner)
{
    json_put(f->results, inner->in.def->name, json_deep_copy(inner->result));
    if (inner->warnings)
        json_put(f->entry, "warnings", json_deep_copy(inner->warnings));
    return "done";
}

static const char *end_stopped(struct foresight *f, const struct step *inner)
{
    const struct err_info *info = err_info(inner->err.code);
    json_t *stop = json_make("{s:s, s:s, s:s, s:s}", "code", info->name, "owner", err_owner_name(inner->err.owner),
                             "text", inner->err.text, "fix", info->fix);
    if (inner->findings)
        json_put(stop, "findings", json_deep_copy(inner->findings));
    json_put(f->entry, "stop", stop);
    return "stops";
}

/* After a wait: what was waited for is done, and the function comes by again. False: nobody can tell what it does. */
static bool get_past(struct foresight *f, struct step *inner)
{
    const char *step = inner->in.def->name;
    size_t tasks = json_array_size(json_object_get(f->entry, "tasks"));
    switch (inner->wait) {
    case WAIT_PERSON:
        note_task(f, inner->task);
        return json_array_size(json_object_get(f->entry, "tasks")) > tasks &&
               foresight_person(f, step, inner->task, (json_t *)(uintptr_t)inner->in.signals);
    case WAIT_AWS:
        foresight_wait(f, inner->wait_ms, json_str_at(inner->result, "waits_for"));
        foresight_aws(f, step);
        return true;
    case WAIT_SLEEP:
        f->clock_ms += inner->wait_ms;
        return true;
    case WAIT_HOLD:
    case WAIT_NONE:
    default:
        return false;
    }
}

static enum step_result foresee_step(struct foresight *f, const struct step_def *def)
{
    struct step inner;
    const char *how = NULL;
    begin(f, &inner, def);
    for (int round = 0; round < ROUNDS_MAX && !how; round++) {
        enum step_result r = step_play(&inner);
        if (f->is_waiting || f->has_failed)
            break;
        if (r == STEP_DONE)
            how = end_done(f, &inner);
        else if (r == STEP_FAIL)
            how = end_stopped(f, &inner);
        else if (!get_past(f, &inner))
            break;
    }
    end(f);
    json_put_str(f->entry, "ends", how ? how : "unforeseen");
    (void)json_array_append_new(f->steps, TAKE(f->entry));
    return f->has_failed ? STEP_FAIL : f->is_waiting ? STEP_WAIT : STEP_DONE;
}

/* ---- All of them ---- */

/* Reads the whole organization, or only compiles what is known then: nothing to foresee, and hundreds of calls. */
static bool is_left_out(const struct foresight *f, const char *name)
{
    return str_in_list("plan_approval,fingerprint_after,handover_report", name) ||
           json_array_has_str(json_at(f->outer->in.import, "skipped"), name);
}

static void note_left_out(struct foresight *f, const struct step_def *def)
{
    if (str_eq(def->name, "plan_approval"))
        return;
    bool is_skipped = json_array_has_str(json_at(f->outer->in.import, "skipped"), def->name);
    (void)json_array_append_new(f->steps,
                                json_make("{s:s, s:s, s:b, s:[], s:[], s:[], s:[], s:[], s:{}, s:s}", "step", def->name,
                                          "item", def->item, "only_looks", 1, "calls", "tasks", "mails", "decisions",
                                          "waits", "reads", "ends", is_skipped ? "skipped" : "reads only"));
}

static enum step_result foresee_all(struct foresight *f)
{
    const json_t *names = json_at(f->outer->in.import, "steps"), *name;
    bool is_after = false;
    size_t i;
    json_array_foreach (names, i, name) {
        const struct step_def *def = step_def_by_name(json_string_value(name));
        bool is_now = is_after && def;
        is_after = is_after || str_eq(json_string_value(name), f->outer->in.def->name);
        if (!is_now)
            continue;
        if (is_left_out(f, def->name)) {
            note_left_out(f, def);
            continue;
        }
        TRY(foresee_step(f, def));
    }
    return STEP_DONE;
}

/* Calls by rate family, with the rate at which they leave: half of what AWS documents. */
static json_t *rates_of(const struct foresight *f)
{
    json_t *families = json_array();
    json_auto_t *counts = json_object();
    size_t i, k;
    const json_t *step, *call;
    const char *op, *family;
    json_t *count;
    json_array_foreach (f->steps, i, step) {
        json_array_foreach (json_object_get(step, "calls"), k, call) {
            const struct aws_op *o = aws_op_by_name(json_str_at(call, "op"));
            json_put_int(counts, o->family, json_int_at(counts, o->family) + 1);
        }
        json_object_foreach (json_object_get(step, "reads"), op, count) {
            const struct aws_op *o = aws_op_by_name(op);
            if (o)
                json_put(
                    counts, o->family,
                    json_integer(json_integer_value(json_object_get(counts, o->family)) + json_integer_value(count)));
        }
    }
    json_object_foreach (counts, family, count)
        (void)json_array_append_new(families,
                                    json_make("{s:s, s:O, s:I}", "family", family, "calls", count, "interval_us",
                                              (json_int_t)rate_limits_of(family, 100).interval_us));
    json_sort_by(families, "family");
    return families;
}

static void done(struct foresight *f)
{
    for (size_t i = 0; i < f->write_count; i++)
        json_decref(f->writes[i].args);
    mem_free(f->writes);
    json_decref(f->steps);
    json_decref(f->results);
    json_decref(f->seen);
    json_decref(f->last);
}

enum step_result step_foresee(struct step *s, const json_t **ret)
{
    ASSERT(!s->plan);
    CLEANUP(done)
    struct foresight f = {.outer = s,
                          .steps = json_array(),
                          .results = json_copy((json_t *)(uintptr_t)s->in.results),
                          .seen = json_object(),
                          .last = json_object(),
                          .clock_ms = s->began_ms};
    if (!f.results)
        f.results = json_object();
    TRY(foresee_all(&f));
    s->has_foreseen = true;
    json_t *seen = json_array(), *one;
    const char *key;
    json_object_foreach (f.seen, key, one)
        (void)json_array_append(seen, one);
    *ret = step_keep(s, json_make("{s:O, s:o, s:o}", "steps", f.steps, "seen", seen, "rates", rates_of(&f)));
    return STEP_DONE;
}

bool step_has_foreseen(const struct step *s)
{
    return s->has_foreseen;
}

const json_t *step_noted(const struct step *s, const char *key)
{
    return journal_get(&s->journal, "notes", key);
}

void step_note(struct step *s, const char *key, json_t *value)
{
    if (json_equal(journal_get(&s->journal, "notes", key), value))
        json_decref(value);
    else
        journal_set(&s->journal, "notes", key, value);
}
