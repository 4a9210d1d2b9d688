#include "tests/integration/scenario/scenario_case.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/seal.h"
#include "dispatcher/planner/input.h"
#include "dispatcher/planner/plan.h"

#include <stdio.h>
#include <string.h>

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "scenario_runner: %s: %s\n", what, detail);
    exit(1);
}

static json_t *read_json_file(const char *path)
{
    struct err err = {0};
    char *text = NULL;
    size_t len = 0;
    if (file_read(path, 4u << 20, &text, &len, &err))
        die(path, err.text);
    json_t *value = json_read(text, len, 0, &err);
    if (!value)
        die(path, err.text);
    mem_free(text);
    return value;
}

/* ---- Placeholders: {account} {access_key_id} {vars.bucket} ... ---- */
static const char *value_of(const struct scenario_case *c, const char *name)
{
    if (str_starts(name, "results.")) /* of the steps of "after" */
        return json_str_at(c->results, name + 8);
    const char *from_world = json_str_at(c->world, name);
    return *from_world ? from_world : json_str_at(c->import, name);
}

static char *fill_text(const struct scenario_case *c, const char *text)
{
    struct str out;
    str_init(&out, 1u << 20);
    while (*text) {
        const char *end = *text == '{' ? strchr(text, '}') : NULL;
        AUTO_FREE char *name = end ? mem_dup_bytes(text + 1, (size_t)(end - text - 1)) : NULL;
        const char *value =
            name && strspn(name, "abcdefghijklmnopqrstuvwxyz_.0123456789") == strlen(name) ? value_of(c, name) : "";
        if (*value) {
            str_add(&out, value);
            text = end + 1;
        } else {
            str_add_char(&out, *text++);
        }
    }
    return str_take(&out);
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by the file's depth
static json_t *fill(const struct scenario_case *c, const json_t *value)
{
    const char *key = NULL;
    json_t *inner = NULL;
    size_t i = 0;
    if (json_is_string(value)) {
        AUTO_FREE char *text = fill_text(c, json_string_value(value));
        return json_string(text);
    }
    if (json_is_object(value)) {
        json_t *object = json_object();
        json_object_foreach ((json_t *)(uintptr_t)value, key, inner) {
            AUTO_FREE char *name = fill_text(c, key);
            json_put(object, name, fill(c, inner));
        }
        return object;
    }
    if (json_is_array(value)) {
        json_t *array = json_array();
        json_array_foreach ((json_t *)(uintptr_t)value, i, inner)
            (void)json_array_append_new(array, fill(c, inner));
        return array;
    }
    return json_deep_copy(value);
}

/* ---- The import document ---- */
static void merge(json_t *into, const json_t *from) // NOLINT(misc-no-recursion): bounded by the file's depth
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)from, key, value) {
        json_t *there = json_object_get(into, key);
        if (json_is_object(there) && json_is_object(value))
            merge(there, value);
        else
            json_put(into, key, json_deep_copy(value));
    }
}

static void add_csv(struct str *out, const char *value, bool is_first)
{
    str_add(out, is_first ? "\"" : ",\"");
    for (; *value; value++) {
        str_add_char(out, *value);
        if (*value == '"')
            str_add_char(out, '"');
    }
    str_add_char(out, '"');
}

/* The world's own CSV row goes the way of every bulk file. */
static json_t *request_of(const struct scenario_case *c, const struct input_context *ctx)
{
    struct str head, line;
    const char *key = NULL;
    json_t *value = NULL;
    bool is_first = true;
    str_init(&head, 65536);
    str_init(&line, 65536);
    json_object_foreach (json_object_get(c->world, "row"), key, value) {
        add_csv(&head, key, is_first);
        add_csv(&line, json_string_value(value), is_first);
        is_first = false;
    }
    AUTO_FREE char *text = mem_printf("%s\n%s\n", head.data, line.data);
    struct input input = {0};
    struct faults faults;
    faults_init(&faults);
    input_read(ctx, INPUT_CSV, text, strlen(text), &input, &faults);
    if (!input.count)
        die(c->name, text);
    json_t *request = json_incref(input.rows[0].request);
    input_done(&input);
    faults_done(&faults);
    str_done(&head);
    str_done(&line);
    return request;
}

static void make_import(struct scenario_case *c, const struct stage *stage, const char *source_dir)
{
    struct err err = {0};
    struct faults faults;
    AUTO_FREE char *profile_path = mem_printf("%s/deploy/profiles/doit/profile.json", source_dir);
    AUTO_FREE char *playbook_path = mem_printf("%s/dispatcher/playbooks/payer-handover.json", source_dir);
    AUTO_PROFILE struct profile *profile = NULL;
    AUTO_PLAYBOOK struct playbook *playbook = NULL;
    faults_init(&faults);
    if (profile_load(profile_path, &profile, &faults, &err) || playbook_load(playbook_path, &playbook, &err))
        die(profile_path, err.text);
    faults_done(&faults);
    const struct playbook *const playbooks[] = {playbook};
    struct input_context ctx = {.profile = profile, .playbooks = playbooks, .playbook_count = 1};
    json_auto_t *request = request_of(c, &ctx);
    struct plan_org org = {0};
    plan_org_draw(env_system(), request, 0, &org);
    AUTO_PLAN struct plan plan = {0};
    struct plan_input in = {.profile = profile,
                            .playbook = playbook,
                            .request = request,
                            .import_id = "imp_00scenario",
                            .org = &org,
                            .is_simulated = true,
                            .now_ms = stage_now(stage)};
    if (plan_import(&in, &plan, &err))
        die(c->name, err.text);
    c->import = json_deep_copy(plan.doc);
}

/* ---- Before ---- */
static void act(const struct scenario_case *c, struct stage *stage, const char *what, const json_t *args)
{
    char path[64];
    (void)snprintf(path, sizeof path, "world/%.12s/act", c->account);
    json_auto_t *body = json_make("{s:s}", "what", what);
    json_put(body, "args", args ? json_deep_copy(args) : json_object());
    json_decref(scenario_sim_ask(stage->sim, path, body));
}

/* What the customer hands over: the sealed key, or a role that trusts the operator with our external id. */
static void hand_over(struct scenario_case *c, struct stage *stage)
{
    struct err err = {0};
    if (json_bool_at(c->file, "no_access"))
        return;
    if (str_eq(json_str_at(c->import, "access.method"), "role")) {
        json_auto_t *args = json_make("{s:s, s:s}", "external_id", json_str_at(c->import, "vars.external_id_bootstrap"),
                                      "operator_account_id", json_str_at(c->import, "vars.operator_account_id"));
        act(c, stage, "customer.bootstrap_role", args);
        return;
    }
    if (seal_keys_ensure(stage->dir, &err))
        die("keys", err.text);
    json_auto_t *key = seal_public_key(stage->dir, &err);
    json_auto_t *plain = json_make("{s:s, s:s}", "access_key_id", json_str_at(c->world, "access_key_id"),
                                   "secret_access_key", json_str_at(c->world, "secret_access_key"));
    json_auto_t *sealed = seal_credential(key, "aws", json_str_at(c->import, "vars.account_id"), plain, &err);
    if (!sealed)
        die("seal", err.text);
    c->credential = json_text(sealed);
}

static void play_after(struct scenario_case *c, struct stage *stage)
{
    size_t i = 0;
    json_t *name = NULL;
    json_array_foreach (json_object_get(c->file, "after"), i, name) {
        struct play_output out;
        const struct step_def *def = step_def_by_name(json_string_value(name));
        if (!def)
            die(c->name, "\"after\" names a step that does not exist");
        play(stage,
             &(struct play_input){.def = def,
                                  .import = c->import,
                                  .results = c->results,
                                  .credential = c->credential,
                                  .expect = "done",
                                  .kill_at = -1,
                                  .stop_at = -1,
                                  .fault_call = -1,
                                  .hold_write = -1},
             &out);
        if (!str_eq(out.outcome, "done"))
            die(json_string_value(name), out.code ? out.code : out.outcome);
        json_put(c->results, def->name, json_loads(out.result, 0, NULL));
        play_output_done(&out);
    }
}

static void prepare(struct scenario_case *c, struct stage *stage)
{
    size_t i = 0;
    json_t *one = NULL;
    char path[64];
    hand_over(c, stage);
    json_array_foreach (json_object_get(c->file, "before"), i, one)
        act(c, stage, json_str_at(one, "act"), json_object_get(one, "args"));
    stage_advance(stage, 20u * 60000u);
    play_after(c, stage);
    (void)snprintf(path, sizeof path, "world/%.12s/save", c->account);
    json_auto_t *nothing = json_object();
    json_decref(scenario_sim_ask(stage->sim, path, nothing));
}

void scenario_case_restore(const struct scenario_case *c, struct stage *stage)
{
    char path[64];
    (void)snprintf(path, sizeof path, "world/%.12s/restore", c->account);
    json_auto_t *nothing = json_object();
    json_decref(scenario_sim_ask(stage->sim, path, nothing));
    stage_rewind(stage);
    stage_advance(stage, 20u * 60000u);
    scenario_sim_mark(stage->sim);
}

void scenario_case_open(struct scenario_case *c, struct stage *stage, const char *source_dir, const char *step,
                        const char *path)
{
    *c = (struct scenario_case){.name = path, .def = step_def_by_name(step)};
    if (!c->def)
        die(step, "there is no such step");
    stage_rewind(stage);
    json_auto_t *file = read_json_file(path);
    json_auto_t *wish = json_make("{s:s, s:I}", "kind", json_str_or(file, "world", "healthy"), "seed",
                                  (json_int_t)(json_int_at(file, "seed") ? json_int_at(file, "seed") : 1));
    c->world = scenario_sim_ask(stage->sim, "world", wish);
    (void)snprintf(c->account, sizeof c->account, "%s", json_str_at(c->world, "account"));
    make_import(c, stage, source_dir);
    json_auto_t *overrides = fill(c, json_object_get(file, "import"));
    merge(c->import, overrides);
    c->file = fill(c, file);
    const json_t *results = json_object_get(c->file, "results");
    c->results = results ? json_deep_copy(results) : json_object();
    prepare(c, stage);
    json_auto_t *half = c->file; /* now with what the steps of "after" left */
    c->file = fill(c, half);
}

void scenario_case_close(struct scenario_case *c)
{
    json_decref(c->file);
    json_decref(c->world);
    json_decref(c->import);
    json_decref(c->results);
    mem_free(c->credential);
}

/* ---- Comparing ---- */
static char *differ(const json_t *expected, const json_t *actual, const char *where)
{
    AUTO_FREE char *want = json_text(expected), *have = json_text(actual);
    return mem_printf("%s: expected %.300s, is %.300s", where, want, have);
}

char *scenario_difference(const json_t *expected, const json_t *actual, const char *where) // NOLINT(misc-no-recursion)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t i = 0;
    if (json_is_object(expected)) {
        json_object_foreach ((json_t *)(uintptr_t)expected, key, value) {
            AUTO_FREE char *path = mem_printf("%s.%s", where, key);
            char *found = scenario_difference(value, json_object_get(actual, key), path);
            if (found)
                return found;
        }
        return json_is_object(actual) ? NULL : differ(expected, actual, where);
    }
    if (json_is_array(expected) && json_array_size(expected) == json_array_size(actual)) {
        json_array_foreach ((json_t *)(uintptr_t)expected, i, value) {
            AUTO_FREE char *path = mem_printf("%s.%zu", where, i);
            char *found = scenario_difference(value, json_array_get(actual, i), path);
            if (found)
                return found;
        }
        return NULL;
    }
    return json_equal(expected, actual) ? NULL : differ(expected, actual, where);
}
