/* scenario_runner BIN_DIR SOURCE_DIR STEP: plays every case of tests/scenarios/STEP, plainly and then
 *   (a) killed at every boundary and resumed from its journal by a new holder,
 *   (b) with every call failing once in each way,
 *   (c) cancelled at every boundary, then resumed,
 *   (d) a second time on the same world,
 *   (e) undone after every prefix, when the step has an undo; and after others have changed what it made,
 *   (f) comparing keys and arguments of all plays,
 *   (g) with every write held back in a dead holder's hands and delivered after the new one went on.
 * The world must end equal each time, and no effect may happen twice. */
#include "tests/integration/scenario/scenario_case.h"

#include "common/base/mem.h"
#include "common/log/log.h"

#include <curl/curl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of one kind and case; more boundaries are sampled evenly, and long steps are played less often. SCENARIO_FULL=1: all.
 */
#define PLAYS_MAX 60
#define PLAYS_MIN 12
#define PLAY_CALLS 1500

struct run {
    struct stage *stage;
    struct scenario_case *c;
    struct play_output plain;
    json_t *first, *last; /* the world before and after the plain play */
    json_t *effects;      /* {"op resource": times} of the plain play */
    int failures, plays;
};

static void complain(struct run *r, const char *variant, int n, const char *what)
{
    const char *name = strrchr(r->c->name, '/');
    r->failures++;
    (void)fprintf(stderr, "FAIL %s%s %s %d: %s\n", r->c->def->name, name ? name : r->c->name, variant, n, what);
}

static json_t *effects_now(struct run *r)
{
    json_auto_t *lines = scenario_sim_effects(r->stage->sim, r->c->account);
    json_t *counts = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach (lines, i, one) {
        if (json_bool_at(one, "repeat"))
            continue;
        AUTO_FREE char *key = mem_printf("%s %s", json_str_at(one, "op"), json_str_at(one, "resource"));
        json_put_int(counts, key, json_integer_value(json_object_get(counts, key)) + 1);
    }
    return counts;
}

static int64_t sum(const json_t *counts)
{
    const char *key = NULL;
    json_t *n = NULL;
    int64_t all = 0;
    json_object_foreach ((json_t *)(uintptr_t)counts, key, n)
        all += json_integer_value(n);
    return all;
}

static struct play_input input_of(const struct run *r)
{
    const struct scenario_case *c = r->c;
    return (struct play_input){.def = c->def,
                               .import = c->import,
                               .results = c->results,
                               .signals = json_object_get(c->file, "signals"),
                               .then = json_object_get(c->file, "then"),
                               .credential = c->credential,
                               .expect = json_str_or(c->file, "expect.outcome", "done"),
                               .kill_at = -1,
                               .resumes = true,
                               .stop_at = -1,
                               .fault_call = -1,
                               .hold_write = -1};
}

/* What two objects differ in, for a person. */
static void first_difference(const json_t *a, const json_t *b, char *ret, size_t size)
{
    AUTO_FREE char *found = scenario_difference(a, b, "world");
    AUTO_FREE char *other = found ? NULL : scenario_difference(b, a, "world (more)");
    (void)snprintf(ret, size, "%s", found ? found : other ? other : "");
}

static void check_same_end(struct run *r, const char *variant, int n, const struct play_output *out)
{
    char text[1024] = "";
    json_auto_t *world = scenario_sim_world(r->stage->sim, r->c->account), *effects = effects_now(r);
    r->plays++;
    if (!str_eq(out->outcome, r->plain.outcome)) {
        (void)snprintf(text, sizeof text, "ends %s (%s) instead of %s", out->outcome, out->code ? out->code : "",
                       r->plain.outcome);
        complain(r, variant, n, text);
        return;
    }
    first_difference(r->last, world, text, sizeof text);
    if (*text)
        complain(r, variant, n, text);
    const char *key = NULL;
    json_t *times = NULL;
    json_object_foreach (effects, key, times) {
        if (json_integer_value(times) <= json_integer_value(json_object_get(r->effects, key)))
            continue;
        (void)snprintf(text, sizeof text, "effective more often than in the plain play: %s", key);
        complain(r, variant, n, text);
    }
    if (out->drift[0]) {
        (void)snprintf(text, sizeof text, "key \"%s\" was asked with other arguments", out->drift);
        complain(r, variant, n, text);
    }
}

/* ---- Plays ---- */
static void check_expectation(struct run *r)
{
    const json_t *expect = json_object_get(r->c->file, "expect");
    struct play_output *out = &r->plain;
    char text[1024];
    if (!str_eq(out->outcome, json_str_or(expect, "outcome", "done"))) {
        (void)snprintf(text, sizeof text, "ends %s (%s) instead of %s", out->outcome, out->code ? out->code : "",
                       json_str_or(expect, "outcome", "done"));
        complain(r, "plain", 0, text);
    }
    const char *code = json_str_at(expect, "code");
    if (*code && !str_eq(out->code, code))
        complain(r, "plain", 0, out->code && *out->code ? out->code : "no error code");
    json_auto_t *result = out->result ? json_loads(out->result, 0, NULL) : NULL;
    json_auto_t *task = out->task && *out->task ? json_loads(out->task, 0, NULL) : NULL;
    AUTO_FREE char *in_result =
        json_has(expect, "result") ? scenario_difference(json_at(expect, "result"), result, "result") : NULL;
    AUTO_FREE char *in_task =
        json_has(expect, "task") ? scenario_difference(json_at(expect, "task"), task, "task") : NULL;
    if (in_result)
        complain(r, "plain", 0, in_result);
    if (in_task)
        complain(r, "plain", 0, in_task);
    if (json_has(expect, "effects") && sum(r->effects) != json_int_at(expect, "effects")) {
        AUTO_FREE char *list = json_text(r->effects);
        complain(r, "plain", 0, list);
    }
}

static void play_plain(struct run *r)
{
    struct play_input in = input_of(r);
    scenario_case_restore(r->c, r->stage);
    r->first = scenario_sim_world(r->stage->sim, r->c->account);
    play(r->stage, &in, &r->plain);
    r->last = scenario_sim_world(r->stage->sim, r->c->account);
    r->effects = effects_now(r);
    check_expectation(r);
}

/* (d) Everything is there already. */
static void play_twice(struct run *r)
{
    struct play_input in = input_of(r);
    struct play_output out;
    if (!str_eq(r->plain.outcome, "done"))
        return;
    scenario_sim_mark(r->stage->sim);
    play(r->stage, &in, &out);
    json_auto_t *effects = effects_now(r);
    AUTO_FREE char *list = json_text(effects);
    r->plays++;
    if (sum(effects))
        complain(r, "second", 0, list);
    if (!str_eq(out.outcome, "done"))
        complain(r, "second", 0, out.code ? out.code : out.outcome);
    play_output_done(&out);
}

static int step_width(const struct run *r, int count)
{
    const char *full = getenv("SCENARIO_FULL");
    int most = r->plain.calls ? PLAY_CALLS / r->plain.calls : PLAYS_MAX;
    most = most > PLAYS_MAX ? PLAYS_MAX : most < PLAYS_MIN ? PLAYS_MIN : most;
    return (full && *full) || count <= most ? 1 : (count + most - 1) / most;
}

/* (a) */
static void play_killed(struct run *r)
{
    for (int n = 0; n < r->plain.boundaries; n += step_width(r, r->plain.boundaries)) {
        struct play_input in = input_of(r);
        struct play_output out;
        in.kill_at = n;
        scenario_case_restore(r->c, r->stage);
        play(r->stage, &in, &out);
        check_same_end(r, "killed at", n, &out);
        play_output_done(&out);
    }
}

static void play_fault(struct run *r, int n, enum fault fault)
{
    struct play_input in = input_of(r);
    struct play_output out;
    in.fault_call = n;
    in.fault = fault;
    scenario_case_restore(r->c, r->stage);
    play(r->stage, &in, &out);
    check_same_end(r, fault_name(fault), n, &out);
    play_output_done(&out);
}

/* (b) A read is only ever refused or lost; a write may have happened all the same. */
static void play_faults(struct run *r)
{
    int width = step_width(r, r->plain.calls);
    for (int n = 0; n < r->plain.calls && n < PLAY_CALLS_MAX; n++)
        for (enum fault f = FAULT_THROTTLE; f < FAULT_COUNT; f++)
            if (r->plain.are_writes[n] || (n % width == 0 && f <= FAULT_BEFORE))
                play_fault(r, n, f);
}

/* (c) */
static void play_stopped(struct run *r)
{
    for (int n = 0; n < r->plain.boundaries; n += step_width(r, r->plain.boundaries)) {
        struct play_input in = input_of(r);
        struct play_output out;
        in.stop_at = n;
        scenario_case_restore(r->c, r->stage);
        play(r->stage, &in, &out);
        if (out.writes_after_stop)
            complain(r, "cancelled at", n, "a write started afterwards");
        if (str_eq(out.outcome, "interrupt")) {
            struct play_input again = input_of(r);
            struct play_output rest;
            again.journal = out.journal;
            play(r->stage, &again, &rest);
            check_same_end(r, "cancelled and resumed at", n, &rest);
            play_output_done(&rest);
        }
        play_output_done(&out);
    }
}

/* Whether the undo itself names what it left, with owner and command (P10). */
static bool names_what_remains(const struct play_output *undone)
{
    json_auto_t *result = undone->result ? json_loads(undone->result, 0, NULL) : NULL;
    return json_array_size(json_object_get(result, "remains")) > 0;
}

/* The results that the undo sees: with the step's own, where its forward run came to its end. New reference. */
static json_t *results_after(const struct run *r, const struct play_output *out)
{
    json_t *results = r->c->results ? json_copy(r->c->results) : json_object();
    if (str_eq(out->outcome, "done") && out->result)
        json_put(results, r->c->def->name, json_loads(out->result, 0, NULL));
    return results;
}

/* As it was, or as the case says: what people did and took back leaves traces of its own. */
static void check_undone(struct run *r, int n, const struct play_output *undone)
{
    const json_t *expected = json_object_get(r->c->file, "undone_world");
    json_auto_t *world = scenario_sim_world(r->stage->sim, r->c->account);
    char text[1024] = "";
    if (!str_eq(undone->outcome, json_str_or(r->c->file, "undo_outcome", "done")))
        complain(r, "undone after", n, undone->code ? undone->code : undone->outcome);
    if (json_object_get(r->c->file, "undo")) {
        AUTO_FREE char *found = expected ? scenario_difference(expected, world, "world") : NULL;
        (void)snprintf(text, sizeof text, "%s", found ? found : "");
    } else {
        first_difference(r->first, world, text, sizeof text);
    }
    if (*text && !names_what_remains(undone))
        complain(r, "undone after", n, text);
    if (undone->drift[0])
        complain(r, "undone after", n, undone->drift);
}

/* (e) What we made is gone, the rest is untouched; what cannot be taken back is listed. People take back what they did.
 */
static void play_undone(struct run *r)
{
    bool never_wrote = !r->plain.writes && str_eq(r->plain.outcome, "fail");
    if (!r->c->def->undo || never_wrote)
        return;
    for (int n = 0; n <= r->plain.boundaries; n += step_width(r, r->plain.boundaries)) {
        struct play_input in = input_of(r);
        struct play_output out, undone;
        in.kill_at = n;
        in.resumes = false;
        scenario_case_restore(r->c, r->stage);
        play(r->stage, &in, &out);
        json_auto_t *results = results_after(r, &out);
        in = input_of(r);
        in.is_undo = true;
        in.expect = "done";
        in.journal = out.journal;
        in.results = results;
        in.undone = json_object_get(r->c->file, "undone");
        in.signals = NULL; /* a word about the forward run says nothing here */
        in.then = json_object_get(r->c->file, "undo");
        play(r->stage, &in, &undone);
        r->plays++;
        check_undone(r, n, &undone);
        play_output_done(&out);
        play_output_done(&undone);
    }
}

static void act_all(struct run *r, const json_t *acts)
{
    size_t i = 0;
    json_t *one = NULL;
    char path[64];
    (void)snprintf(path, sizeof path, "world/%.12s/act", r->c->account);
    json_array_foreach ((json_t *)(uintptr_t)acts, i, one) {
        const json_t *args = json_object_get(one, "args");
        json_auto_t *body = json_make("{s:s, s:o}", "what", json_str_at(one, "act"), "args",
                                      args ? json_deep_copy(args) : json_object());
        json_decref(scenario_sim_ask(r->stage->sim, path, body));
    }
}

/* What others changed stays as they left it, and is listed (P10). */
static void play_edited(struct run *r, const json_t *edit, int n)
{
    struct play_input in = input_of(r);
    struct play_output out, undone;
    scenario_case_restore(r->c, r->stage);
    play(r->stage, &in, &out);
    act_all(r, json_object_get(edit, "acts"));
    json_auto_t *results = results_after(r, &out);
    in = input_of(r);
    in.is_undo = true;
    in.journal = out.journal;
    in.results = results;
    in.signals = in.then = NULL;
    play(r->stage, &in, &undone);
    r->plays++;
    json_auto_t *world = scenario_sim_world(r->stage->sim, r->c->account);
    AUTO_FREE char *lost = scenario_difference(json_object_get(edit, "stays"), world, "world");
    if (!str_eq(undone.outcome, "done"))
        complain(r, "undone after an edit", n, undone.code ? undone.code : undone.outcome);
    if (lost)
        complain(r, "undone after an edit", n, lost);
    if (!names_what_remains(&undone))
        complain(r, "undone after an edit", n, "nothing is listed");
    play_output_done(&out);
    play_output_done(&undone);
}

static void play_all_edited(struct run *r)
{
    size_t i = 0;
    json_t *edit = NULL;
    json_array_foreach (json_object_get(r->c->file, "edits"), i, edit)
        play_edited(r, edit, (int)i);
}

static void skew(struct run *r, uint64_t ms)
{
    json_auto_t *body = json_make("{s:I}", "skew_ms", (json_int_t)ms);
    json_decref(scenario_sim_ask(r->stage->sim, "clock", body));
}

/* (g) The simulator checks signatures by real time: it is told how much of the played time has passed since. */
static void play_zombie(struct run *r)
{
    for (int n = 0; n < r->plain.writes; n++) {
        struct play_input in = input_of(r);
        struct play_output out;
        in.hold_write = n;
        scenario_case_restore(r->c, r->stage);
        play(r->stage, &in, &out);
        if (out.was_held && !delay_has(r->stage->delay))
            complain(r, "zombie", n, "its request was not seen on the wire");
        skew(r, stage_now(r->stage) - out.held_at_ms);
        (void)delay_release(r->stage->delay);
        skew(r, 0);
        check_same_end(r, "zombie", n, &out);
        play_output_done(&out);
    }
}

static int run_case(struct stage *stage, const char *source_dir, const char *step, const char *path)
{
    struct scenario_case c;
    scenario_case_open(&c, stage, source_dir, step, path);
    struct run r = {.stage = stage, .c = &c};
    json_object_clear(stage->digests);
    play_plain(&r);
    play_twice(&r);
    if (!r.failures && !json_bool_at(c.file, "plain_only")) {
        play_killed(&r);
        play_faults(&r);
        play_stopped(&r);
        play_undone(&r);
        play_all_edited(&r);
        play_zombie(&r);
    }
    (void)printf("%s %s: %s, %d calls (%d writes, %lld effects), %d boundaries, %d more plays, %d faults\n", step,
                 strrchr(path, '/') + 1, r.plain.outcome, r.plain.calls, r.plain.writes, (long long)sum(r.effects),
                 r.plain.boundaries, r.plays, r.failures);
    (void)fflush(stdout);
    json_decref(r.first);
    json_decref(r.last);
    json_decref(r.effects);
    play_output_done(&r.plain);
    scenario_case_close(&c);
    return r.failures;
}

/* ---- Stage ---- */
static uint64_t virtual_unix(void *self)
{
    return stage_now(self);
}
static uint64_t virtual_boot(void *self)
{
    const struct stage *stage = self;
    return (uint64_t)((int64_t)env_boot_ms(env_system()) + stage->offset_ms) + (1u << 30);
}
static void real_random(void *self, void *bytes, size_t len)
{
    (void)self;
    env_random(env_system(), bytes, len);
}

static void open_clients(struct stage *s)
{
    struct err err = {0};
    s->http = http_client_new(&s->loop, &(struct http_client_options){.env = env_system(), .connections_max = 16});
    (void)snprintf(s->endpoint, sizeof s->endpoint, "http://127.0.0.1:%d", delay_port(s->delay));
    struct aws_client_options options = {.env = env_system(),
                                         .http = s->http,
                                         .is_simulated = true,
                                         .endpoints = s->endpoint,
                                         .call_timeout_ms = 20000,
                                         .calls_max = 64,
                                         .rate_scale_pct = 100000,
                                         .user_agent = "orgimport-scenarios"};
    if (aws_client_new(&s->loop, &options, &s->aws, &err)) {
        (void)fprintf(stderr, "scenario_runner: %s\n", err.text);
        exit(1);
    }
    s->mail.options = (struct mail_options){.loop = &s->loop,
                                            .later = s->later,
                                            .http = s->http,
                                            .is_simulated = true,
                                            .endpoints = s->endpoint,
                                            .smtp_url = "",
                                            .mail_from = ""};
    s->tools = (struct gate_tools){.session = {.env = &s->env,
                                               .aws = s->aws,
                                               .later = s->later,
                                               .is_simulated = true,
                                               .keys_dir = s->dir,
                                               .sim_credentials = scenario_sim_credentials(s->sim)},
                                   .own = &s->own,
                                   .mail = &s->mail,
                                   .share_ms = 0};
    for (enum aws_identity_kind k = AWS_AS_OPERATOR; k < AWS_AS_NOBODY; k++)
        s->own.sessions[k] = session_new_own(&s->tools.session, k, NULL, NULL);
}

static void stage_open(struct stage *s, const char *bin_dir)
{
    *s = (struct stage){.env = {.unix_ms = virtual_unix, .boot_ms = virtual_boot, .random = real_random, .self = s}};
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/orgimport-scenario-XXXXXX");
    if (!mkdtemp(s->dir) || uv_loop_init(&s->loop) != 0)
        exit(1);
    s->digests = json_object();
    s->sim = scenario_sim_start(bin_dir, s->dir);
    /* A rate per second means nothing on a clock that jumps; the client's own tests are about rates. */
    json_auto_t *traps = json_make("{s:s}", "traps", "-trail_rate");
    json_decref(scenario_sim_ask(s->sim, "traps", traps));
    s->later = later_new(&s->loop, env_system());
    s->delay = delay_start(&s->loop, scenario_sim_port(s->sim));
    open_clients(s);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void stage_close(struct stage *s)
{
    for (size_t k = 0; k < ARRAY_LEN(s->own.sessions); k++)
        session_free(s->own.sessions[k]);
    aws_client_free(s->aws);
    http_client_close(s->http, NULL, NULL);
    scenario_sim_stop(s->sim);
    delay_close(s->delay);
    later_close(s->later);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s->loop);
    json_decref(s->digests);
    (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    struct stage stage;
    glob_t files;
    int failures = 0;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: scenario_runner BIN_DIR SOURCE_DIR STEP [CASE]\n");
        return 2;
    }
    log_start("scenario_runner", LOG_ERROR, 2);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    stage_open(&stage, argv[1]);
    AUTO_FREE char *pattern = mem_printf("%s/tests/scenarios/%s/%s.json", argv[2], argv[3], argc > 4 ? argv[4] : "*");
    if (glob(pattern, 0, NULL, &files) != 0) {
        (void)fprintf(stderr, "scenario_runner: no cases: %s\n", pattern);
        failures = 1;
    } else {
        for (size_t i = 0; i < files.gl_pathc; i++)
            failures += run_case(&stage, argv[2], argv[3], files.gl_pathv[i]);
        globfree(&files);
    }
    stage_close(&stage);
    curl_global_cleanup();
    return failures ? 1 : 0;
}
