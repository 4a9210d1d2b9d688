/* chaos_check: what became of every import that Redis said it had, held against what the simulated AWS did.
 *
 *   chaos_check --redis=URL [--shards=1] --ids=FILE --effects=FILE --playbook=FILE --settle-ms=N --sign-within-ms=N
 *
 * Lost: an import that is gone or not completed, a step that is not done, a done step without its effect. Twice: an
 * effect that is there more than once. Each effect must belong to one fence: that of the hold which its request names
 * (its nonce stands in the user agent), whose ledger has the intent; an answer with its request id must be of the same
 * hold. It must have been signed soon after that intent, and have come before others might believe it absent (P3).
 * Prints one line of JSON; exit 0 when all is well, 1 otherwise, 2 when it cannot look. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/when.h"
#include "dispatcher/planner/playbook.h"
#include "tests/drill/drill_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 64
#define LEDGER_PAGE 500
#define LINE_MAX_BYTES 8192
#define EXAMPLES_MAX 20
/* A holder knows Redis's clock, which stamps its intent, and AWS's, which dates its signature, by the answers that it
 * reads, and neither is run ahead of: both may be behind by what an answer took, and a date has whole seconds. */
#define BEHIND_MS 2500

/* What a drill step does at AWS (tests/drill/drill_steps.c). */
static const struct write_kind {
    const char *step, *key, *op, *resource;
} writes[] = {
    {"drill_write_", "create", "iam:CreateRole", "iam.roles."},
    {"drill_version_", "create", "iam:CreatePolicy", "iam.policies."},
    {"drill_version_", "version", "iam:CreatePolicyVersion", "iam.policies."},
};

enum finding {
    IMPORT_LOST,
    IMPORT_OPEN,
    STEP_LOST,
    EFFECT_LOST,
    EFFECT_TWICE,
    EFFECT_OF_NOBODY,
    FENCE_NONE,
    FENCE_MANY,
    SIGNED_LATE,
    CAME_LATE,
    FINDINGS
};
static const char *const finding_names[FINDINGS] = {
    [IMPORT_LOST] = "imports_lost",         [IMPORT_OPEN] = "imports_not_completed",
    [STEP_LOST] = "steps_not_done",         [EFFECT_LOST] = "effects_lost",
    [EFFECT_TWICE] = "effects_twice",       [EFFECT_OF_NOBODY] = "effects_of_nobody",
    [FENCE_NONE] = "effects_without_fence", [FENCE_MANY] = "effects_with_several_fences",
    [SIGNED_LATE] = "effects_signed_late",  [CAME_LATE] = "effects_believed_absent",
};

struct check {
    struct drill drill;
    struct playbook *playbook;
    const char *ids_path, *effects_path, *playbook_path;
    json_t *effects; /* "RESOURCE OP" -> lines of the effect log */
    FILE *ids;
    uint64_t settle_ms, sign_within_ms, imports, steps, expected, by_answer, by_agent, in_flight;
    uint64_t found[FINDINGS];
    json_t *examples;
    bool is_read;
};

struct subject { /* one import that is being looked at */
    struct check *check;
    char id[IMPORT_ID_BYTES];
    json_t *lines;
};

static void find(struct check *c, enum finding what, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void find(struct check *c, enum finding what, const char *fmt, ...)
{
    c->found[what]++;
    if (json_array_size(c->examples) >= EXAMPLES_MAX)
        return;
    AUTO_STR struct str text;
    va_list ap;
    str_init(&text, 1024);
    str_addf(&text, "%s: ", finding_names[what]);
    va_start(ap, fmt);
    str_addfv(&text, fmt, ap);
    va_end(ap);
    (void)json_array_append_new(c->examples, json_string(text.data));
}

/* ---- What AWS did ---- */
static void take_effect(struct check *c, const json_t *line)
{
    const char *resource = json_str_at(line, "resource");
    if (!strstr(resource, ".drill-") || json_bool_at(line, "repeat"))
        return;
    AUTO_FREE char *key = mem_printf("%s %s", resource, json_str_at(line, "op"));
    json_t *list = json_object_get(c->effects, key);
    if (!list) {
        list = json_array();
        json_put(c->effects, key, list);
    }
    (void)json_array_append(list, (json_t *)(uintptr_t)line);
}

static void read_effects(struct check *c)
{
    static char text[LINE_MAX_BYTES];
    FILE *file = fopen(c->effects_path, "re");
    struct err err = {0};
    if (!file) {
        perror(c->effects_path);
        exit(2);
    }
    while (fgets(text, sizeof text, file)) {
        json_auto_t *line = json_read(text, strlen(text), 0, &err);
        if (!line)
            drill_fail("chaos_check", c->effects_path, &err);
        take_effect(c, line);
    }
    (void)fclose(file);
}

/* ---- Whose effect it was ---- */
static bool is_about(const json_t *line, const char *kind, const char *step, const struct write_kind *w)
{
    return str_eq(json_str_at(line, "kind"), kind) && str_eq(json_str_at(line, "step"), step) &&
           str_eq(json_str_at(line, "key"), w->key) && str_eq(json_str_at(line, "op"), w->op);
}

/* The hold that a request names: "... imp_.../NONCE". */
static const char *hold_of(const struct subject *s, const json_t *effect)
{
    const char *at = strstr(json_str_at(effect, "agent"), s->id);
    return at && at[strlen(s->id)] == '/' ? at + strlen(s->id) + 1 : "";
}

static const json_t *answer_of(const json_t *lines, const char *step, const struct write_kind *w, const char *request)
{
    size_t i = 0;
    const json_t *line = NULL;
    json_array_foreach (lines, i, line)
        if (is_about(line, "answer", step, w) && *request && str_eq(json_str_at(line, "request_id"), request))
            return line;
    return NULL;
}

struct sent { /* what a hold's intents say of an effect */
    bool is_intended, is_signed_in_time, is_in_time;
};

static struct sent intents_of(const struct subject *s, const char *step, const struct write_kind *w,
                              const json_t *effect)
{
    const struct check *c = s->check;
    int64_t at_ms = json_int_at(effect, "at_ms");
    uint64_t signed_ms = 0;
    struct sent sent = {false, false, false};
    size_t i = 0;
    const json_t *line = NULL;
    (void)when_parse(json_str_at(effect, "signed"), &signed_ms);
    json_array_foreach (s->lines, i, line) {
        int64_t intended_ms = json_int_at(line, "at_ms");
        if (!is_about(line, "intent", step, w) || !str_eq(json_str_at(line, "nonce"), hold_of(s, effect)) ||
            intended_ms > at_ms)
            continue;
        bool is_after = (int64_t)signed_ms + BEHIND_MS >= intended_ms;
        sent.is_intended = true;
        if (is_after && (int64_t)signed_ms <= intended_ms + (int64_t)c->sign_within_ms)
            sent.is_signed_in_time = true;
        if (at_ms <= intended_ms + (int64_t)c->settle_ms)
            sent.is_in_time = true;
    }
    return sent;
}

static void attribute(struct subject *s, const char *step, const struct write_kind *w, const json_t *effect)
{
    struct check *c = s->check;
    const json_t *answer = answer_of(s->lines, step, w, json_str_at(effect, "request_id"));
    const struct sent sent = intents_of(s, step, w, effect);
    const char *hold = hold_of(s, effect), *at = json_str_at(effect, "signed");
    long long at_ms = (long long)json_int_at(effect, "at_ms");
    if (!sent.is_intended)
        find(c, FENCE_NONE, "%s %s %s at %lld of %s", s->id, step, w->op, at_ms, hold);
    else if (answer && !str_eq(json_str_at(answer, "nonce"), hold))
        find(c, FENCE_MANY, "%s %s %s at %lld of %s and %s", s->id, step, w->op, at_ms, hold,
             json_str_at(answer, "nonce"));
    else
        answer ? c->by_answer++ : c->by_agent++;
    if (sent.is_intended && !sent.is_signed_in_time)
        find(c, SIGNED_LATE, "%s %s %s at %lld of %s, signed %s", s->id, step, w->op, at_ms, hold, at);
    if (sent.is_intended && !sent.is_in_time)
        find(c, CAME_LATE, "%s %s %s at %lld of %s, signed %s", s->id, step, w->op, at_ms, hold, at);
}

static void check_write(struct subject *s, const char *step, const struct write_kind *w)
{
    struct check *c = s->check;
    size_t i = 0;
    const json_t *effect = NULL;
    AUTO_FREE char *key = mem_printf("%sdrill-%s-%s %s", w->resource, s->id, step, w->op);
    json_auto_t *effects = json_incref(json_object_get(c->effects, key));
    (void)json_object_del(c->effects, key); /* what is left at the end belongs to nobody */
    c->expected++;
    if (!json_array_size(effects))
        find(c, EFFECT_LOST, "%s %s %s", s->id, step, w->op);
    if (json_array_size(effects) > 1)
        find(c, EFFECT_TWICE, "%s %s %s: %zu times", s->id, step, w->op, json_array_size(effects));
    json_array_foreach (effects, i, effect)
        attribute(s, step, w, effect);
}

static void check_steps(struct subject *s)
{
    for (uint8_t i = 0; i < s->check->playbook->dag.step_count; i++) {
        const char *name = json_str_at(s->check->playbook->steps[i], "id");
        for (size_t k = 0; k < ARRAY_LEN(writes); k++)
            if (str_starts(name, writes[k].step))
                check_write(s, name, &writes[k]);
    }
}

/* ---- Imports, many at a time ---- */
static void next_subject(struct check *c);

static void subject_end(struct subject *s)
{
    struct check *c = s->check;
    json_decref(s->lines);
    mem_free(s);
    c->in_flight--;
    next_subject(c);
}

static void on_ledger(void *arg, const struct err *err, json_t *value)
{
    struct subject *s = arg;
    if (err)
        drill_fail("chaos_check", s->id, err);
    (void)json_array_extend(s->lines, json_object_get(value, "data"));
    int64_t next = json_int_at(value, "next");
    json_decref(value);
    if (next) {
        queue_ledger(s->check->drill.queue, s->id, (uint32_t)next, LEDGER_PAGE, on_ledger, s);
        return;
    }
    check_steps(s);
    subject_end(s);
}

static void check_states(struct subject *s, const json_t *import)
{
    struct check *c = s->check;
    const json_t *steps = json_at(import, "steps"), *step = NULL;
    size_t i = 0;
    if (!str_eq(json_str_at(import, "state"), "completed"))
        find(c, IMPORT_OPEN, "%s is %s", s->id, json_str_at(import, "state"));
    json_array_foreach (steps, i, step) {
        c->steps++;
        if (!str_eq(json_str_at(step, "state"), "DONE"))
            find(c, STEP_LOST, "%s %s is %s", s->id, json_str_at(step, "name"), json_str_at(step, "state"));
    }
}

static void on_import(void *arg, const struct err *err, json_t *value)
{
    struct subject *s = arg;
    if (err && err->code != ERR_NOT_FOUND)
        drill_fail("chaos_check", s->id, err);
    if (err) {
        find(s->check, IMPORT_LOST, "%s was accepted and is gone", s->id);
        subject_end(s);
        return;
    }
    check_states(s, value);
    json_decref(value);
    queue_ledger(s->check->drill.queue, s->id, 0, LEDGER_PAGE, on_ledger, s);
}

static void next_subject(struct check *c)
{
    char line[128];
    while (!c->is_read && c->in_flight < IN_FLIGHT_MAX) {
        if (!fgets(line, sizeof line, c->ids)) {
            c->is_read = true;
            return;
        }
        struct subject *s = MEM_NEW(struct subject);
        s->check = c;
        s->lines = json_array();
        (void)snprintf(s->id, sizeof s->id, "%.*s", (int)strcspn(line, " \n"), line);
        c->imports++;
        c->in_flight++;
        queue_get(c->drill.queue, s->id, on_import, s);
    }
}

/* ---- The program ---- */
static bool print_result(struct check *c)
{
    bool is_well = true;
    const char *key = NULL;
    json_t *effects = NULL;
    json_object_foreach (c->effects, key, effects)
        find(c, EFFECT_OF_NOBODY, "%s", key);
    json_auto_t *out = json_make("{s:I, s:I, s:I, s:I, s:I}", "imports", (json_int_t)c->imports, "steps",
                                 (json_int_t)c->steps, "effects_expected", (json_int_t)c->expected, "fence_by_answer",
                                 (json_int_t)c->by_answer, "fence_by_agent", (json_int_t)c->by_agent);
    for (size_t i = 0; i < FINDINGS; i++) {
        json_put_int(out, finding_names[i], (int64_t)c->found[i]);
        is_well = is_well && !c->found[i];
    }
    json_put(out, "examples", json_incref(c->examples));
    AUTO_FREE char *text = json_text(out);
    (void)puts(text);
    return is_well;
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    return str_to_u64(text, 3600000, &n) ? n : 0;
}

static void read_options(struct check *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (drill_option(&c->drill, argv[i]))
            continue;
        if ((value = drill_value(argv[i], "ids")))
            c->ids_path = value;
        else if ((value = drill_value(argv[i], "effects")))
            c->effects_path = value;
        else if ((value = drill_value(argv[i], "playbook")))
            c->playbook_path = value;
        else if ((value = drill_value(argv[i], "settle-ms")))
            c->settle_ms = number(value);
        else if ((value = drill_value(argv[i], "sign-within-ms")))
            c->sign_within_ms = number(value);
        else
            c->ids_path = NULL;
    }
    if (c->ids_path && c->effects_path && c->playbook_path && c->settle_ms && c->sign_within_ms)
        return;
    (void)fputs("usage: chaos_check " DRILL_OPTIONS " --ids=FILE --effects=FILE --playbook=FILE --settle-ms=N "
                "--sign-within-ms=N\n",
                stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct check c;
    struct err err = {0};
    read_options(&c, argc, argv);
    c.effects = json_object();
    c.examples = json_array();
    if (playbook_load(c.playbook_path, &c.playbook, &err))
        drill_fail("chaos_check", "playbook", &err);
    read_effects(&c);
    c.ids = fopen(c.ids_path, "re");
    if (!c.ids) {
        perror(c.ids_path);
        return 2;
    }
    drill_open(&c.drill, "chaos_check");
    next_subject(&c);
    while (c.in_flight)
        (void)uv_run(&c.drill.loop, UV_RUN_ONCE);
    bool is_well = print_result(&c);
    (void)fclose(c.ids);
    json_decref(c.effects);
    json_decref(c.examples);
    playbook_free(c.playbook);
    drill_close(&c.drill);
    return is_well ? 0 : 1;
}
