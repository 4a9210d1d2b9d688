/* The scripted customers and operators: a thread that reads the fleet's open tasks; each is done in the world after a
 * delay, and said so, by one of a few hands that work beside each other, as people do.
 *
 * Invariant: people touch worlds only through the admin endpoint of this same server, as separate requests, so that
 * worlds change in one thread. What they remember (who was asked what, when, how often) lives here, is touched by the
 * reading thread only, and dies with the run: asked again, they do it again. Oddness by kind: people_quirk(). */
#include "people.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HANDS_MAX 8
#define TASKS_PER_PAGE 100

static struct {
    char self[256], fleet[256], token_file[1024], token[512];
    uint32_t delay_ms;
    uint64_t random, round, stopped_looked_ms;
    json_t *memory;  /* task or import id -> {"at", "tries", "round"} */
    json_t *imports; /* import id -> management account */
    json_t *worlds;  /* management account -> description */
    pthread_t thread;
    bool running;
    atomic_bool stop;
} people;

static uint64_t people_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Nobody is punctual: half to one and a half of the delay. */
static uint64_t people_delay(const char *kind)
{
    people.random = people.random * 6364136223846793005u + 1442695040888963407u;
    uint64_t delay = people.delay_ms / 2 + (people.random >> 33) % ((uint64_t)people.delay_ms + 1);
    return svc_is(kind, "slow_human") ? delay * 5 : delay;
}

/* ---- Calls
 * ------------------------------------------------------------------------------------------------------------- */

json_t *people_get(const char *path, long *ret_status)
{
    char url[1200];
    (void)snprintf(url, sizeof url, "%s%s", people.fleet, path);
    return people_http("GET", url, people.token, NULL, ret_status);
}

/* `body` is taken. */
bool people_put(const char *path, json_t *body)
{
    char url[1200];
    long status;
    (void)snprintf(url, sizeof url, "%s%s", people.fleet, path);
    json_decref(people_http("PUT", url, people.token, body, &status));
    json_decref(body);
    return status >= 200 && status < 300;
}

json_t *people_worlds(void)
{
    char url[600];
    long status;
    (void)snprintf(url, sizeof url, "%s/_sim/worlds", people.self);
    return people_http("GET", url, NULL, NULL, &status);
}

static bool fleet_post(const char *path, json_t *body /* taken */)
{
    char url[1200];
    long status;
    (void)snprintf(url, sizeof url, "%s%s", people.fleet, path);
    json_decref(people_http("POST", url, people.token, body, &status));
    json_decref(body);
    return status >= 200 && status < 300;
}

/* Between reading a task and doing it a while passes, and between two of its acts, too. The same id may stand for
 * another task by then: the way back of the same step. */
static bool is_still_asked(const struct person *p)
{
    char path[300];
    long status;
    if (p->task == NULL)
        return true; /* nobody asked for it */
    (void)snprintf(path, sizeof path, "/v1/tasks/%.160s", p->task_id);
    json_t *now = people_get(path, &status);
    bool is = status == 200 && svc_is(svc_text(now, "title"), svc_text(p->task, "title"));
    json_decref(now);
    return is;
}

bool people_act(const struct person *p, const char *what, json_t *args /* taken; may be NULL */)
{
    char url[600];
    long status;
    if (!is_still_asked(p)) {
        json_decref(args);
        return false;
    }
    json_t *body = json_pack("{s:s, s:o}", "what", what, "args", args ? args : json_object());
    (void)snprintf(url, sizeof url, "%s/_sim/world/%s/act", people.self, p->account);
    json_t *answer = people_http("POST", url, NULL, body, &status);
    if (status != 200)
        (void)fprintf(stderr, "orgimport-awssim: people: %s for %s: %s\n", what, p->account, svc_text(answer, "error"));
    json_decref(answer);
    json_decref(body);
    return status == 200;
}

/* ---- Who is it about?
 * -------------------------------------------------------------------------------------------------- */

static const json_t *world_of(const char *account)
{
    const json_t *known = json_object_get(people.worlds, account);
    if (known != NULL)
        return known;
    char url[600];
    long status;
    (void)snprintf(url, sizeof url, "%s/_sim/worlds", people.self);
    json_t *list = people_http("GET", url, NULL, NULL, &status);
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one)
        if (svc_text(one, "external_ref")[0] != '\0') /* else an account of the operator's own */
        {
            json_object_set(people.worlds, svc_text(one, "account"), one);
            if (svc_text(one, "submitted_account")[0] != '\0') /* a member account that was submitted by mistake */
                json_object_set(people.worlds, svc_text(one, "submitted_account"), one);
        }
    json_decref(list);
    return json_object_get(people.worlds, account);
}

/* By account, not by the operator's name for the import: a customer who is imported twice has the same people. */
static bool person_of_account(struct person *p, const char *account)
{
    const json_t *world = world_of(account);
    if (world == NULL || account[0] == '\0')
        return false; /* not a customer of this simulator */
    (void)snprintf(p->account, sizeof p->account, "%s", svc_text(world, "account"));
    (void)snprintf(p->kind, sizeof p->kind, "%s", svc_text(world, "kind"));
    (void)snprintf(p->mfa, sizeof p->mfa, "%s", svc_text(world, "mfa_mode"));
    (void)snprintf(p->access, sizeof p->access, "%s", svc_text(world, "access"));
    return true;
}

static const char *account_of(const json_t *import)
{
    return svc_text(json_object_get(import, "organization"), "management_account_id");
}

/* Who hands over the same account once more registers further devices: of the second time they are called "-2". */
static void person_mark(struct person *p, const char *account)
{
    unsigned times = 1;
    const char *id;
    json_t *one;
    json_object_foreach (people.imports, id, one) {
        if (svc_is(id, p->import_id))
            break;
        times += svc_is(json_string_value(one), account);
    }
    if (times > 1)
        (void)snprintf(p->mark, sizeof p->mark, "-%u", times % 1000);
}

static bool person_of_import(struct person *p, const char *import_id)
{
    const json_t *known = json_object_get(people.imports, import_id);
    if (known == NULL) {
        char path[200];
        long status;
        (void)snprintf(path, sizeof path, "/v1/imports/%.120s", import_id);
        json_t *import = people_get(path, &status);
        if (status == 200)
            json_object_set_new(people.imports, import_id, json_string(account_of(import)));
        json_decref(import);
        known = json_object_get(people.imports, import_id);
    }
    if (known == NULL || !person_of_account(p, json_string_value(known)))
        return false;
    person_mark(p, json_string_value(known));
    return true;
}

/* ---- Saying so
 * --------------------------------------------------------------------------------------------------------- */

/* The code in the newest mail to that address: the last six digits in a row. */
static bool mailed_code(const struct person *p, char ret[16])
{
    char to[256], url[900];
    long status;
    ret[0] = '\0';
    people_escape(people_text(p, "mailbox", ""), to, sizeof to);
    (void)snprintf(url, sizeof url, "%s/_sim/mail?to=%s", people.self, to);
    json_t *mails = people_http("GET", url, NULL, NULL, &status);
    const char *text = svc_text(json_array_get(mails, json_array_size(mails) ? json_array_size(mails) - 1 : 0), "text");
    for (const char *at = text; *at != '\0';) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 6)
            (void)snprintf(ret, 16, "%.6s", at);
        at += digits ? digits : 1;
    }
    json_decref(mails);
    return ret[0] != '\0';
}

static const char *person_name(const struct person *p)
{
    return strncmp(svc_text(p->task, "party"), "customer", 8) == 0 ? "jane.doe@customer.example"
                                                                   : "o.perator@reseller.example";
}

static bool say_done(const struct person *p)
{
    char path[300], value[200];
    json_t *body = json_pack("{s:s, s:s}", "by", person_name(p), "note", "done by the script of the simulator");
    const char *key = svc_text(json_object_get(p->task, "input"), "key");
    if (json_is_true(json_object_get(p->task, "second_person")))
        json_object_set_new(body, "second_person", json_string("s.econd@reseller.example"));
    if (key[0] != '\0') {
        if (strstr(svc_text(json_object_get(p->task, "input"), "pattern"), "mfa") != NULL)
            (void)snprintf(value, sizeof value,
                           "arn:aws:iam::%s:mfa/operator-security arn:aws:iam::%s:mfa/operator-operations", p->account,
                           p->account);
        else if (!mailed_code(p, value)) {
            json_decref(body);
            return false; /* the mail is still on its way */
        }
        json_object_set_new(body, key, json_string(value));
    }
    (void)snprintf(path, sizeof path, "/v1/tasks/%.160s:done", p->task_id);
    return fleet_post(path, body);
}

/* Does it, and says so where a word is wanted; else only asks the machine to look now. */
static bool person_acts(const struct person *p)
{
    char path[300];
    bool word = json_is_true(json_object_get(p->task, "attest")) || json_is_object(json_object_get(p->task, "input"));
    if (!people_do(p))
        return false;
    if (word)
        return say_done(p);
    (void)snprintf(path, sizeof path, "/v1/tasks/%.160s:recheck", p->task_id);
    return fleet_post(path, json_object());
}

/* What odd people do instead. True when that is all. */
static bool people_quirk(const struct person *p)
{
    if (svc_is(p->step, "plan_approval"))
        return true; /* a plan is approved by those who asked for it */
    if (svc_is(p->kind, "nobody_home") && svc_is(p->step, "root_email"))
        return true;
    if (svc_is(p->kind, "customer_refuses") && svc_is(p->step, "root_mfa_handover")) {
        char path[300];
        (void)snprintf(path, sizeof path, "/v1/tasks/%.160s:reject", p->task_id);
        fleet_post(path, json_pack("{s:s, s:s}", "by", "jane.doe@customer.example", "reason", "our policy forbids it"));
        return true;
    }
    return false;
}

/* ---- Going round
 * ------------------------------------------------------------------------------------------------------- */

/* Remembers `id` and answers whether its time has come. */
static bool memory_due(const char *id, const char *kind, unsigned *ret_tries)
{
    json_t *one = json_object_get(people.memory, id);
    if (one == NULL) {
        one = json_pack("{s:I, s:i}", "at", (json_int_t)(people_now() + people_delay(kind)), "tries", 0);
        json_object_set_new(people.memory, id, one);
    }
    json_object_set_new(one, "round", json_integer((json_int_t)people.round));
    *ret_tries = (unsigned)svc_number(one, "tries");
    return people_now() >= svc_number(one, "at");
}

/* Again later, in case it was not enough: sooner when it failed, ever later when it seemed to work. */
static void memory_again(const char *id, const char *kind, bool done)
{
    json_t *one = json_object_get(people.memory, id);
    uint64_t tries = svc_number(one, "tries");
    uint64_t wait = done ? (people_delay(kind) + 1500) << (tries < 5 ? tries : 5) : people_delay(kind) / 2 + 250;
    json_object_set_new(one, "at", json_integer((json_int_t)(people_now() + wait)));
    if (done)
        json_object_set_new(one, "tries", json_integer((json_int_t)tries + 1));
}

static void memory_forget(void)
{
    const char *id;
    json_t *one;
    void *next;
    json_object_foreach_safe(people.memory, next, id,
                             one) if (svc_number(one, "round") + 1 < people.round && strncmp(id, "tsk_", 4) == 0)
        json_object_del(people.memory, id);
}

/* The tasks of one page whose time has come. */
static struct {
    struct person list[TASKS_PER_PAGE];
    bool is_done[TASKS_PER_PAGE];
    size_t count;
    atomic_size_t next;
} due;

static void note_due(const json_t *task)
{
    struct person p = {.task = task,
                       .task_id = svc_text(task, "id"),
                       .step = svc_text(task, "step"),
                       .import_id = svc_text(task, "import_id"),
                       .data = json_object_get(task, "data")};
    if (p.task_id[0] == '\0' || due.count >= TASKS_PER_PAGE || !person_of_import(&p, p.import_id))
        return;
    if (memory_due(p.task_id, p.kind, &p.tries))
        due.list[due.count++] = p;
}

static void work_on(void)
{
    for (size_t i = due.next++; i < due.count && !people.stop; i = due.next++)
        due.is_done[i] = people_quirk(&due.list[i]) || person_acts(&due.list[i]);
}

static void *hand_run(void *arg)
{
    (void)arg;
    if (people_http_open(&people.stop)) {
        work_on();
        people_http_close();
    }
    return NULL;
}

/* One after the other, hundreds of people would wait for each other's requests: 2 a second on a busy machine. */
static void do_due(void)
{
    pthread_t hands[HANDS_MAX];
    size_t started = 0;
    memset(due.is_done, 0, sizeof due.is_done);
    due.next = 0;
    while (started < HANDS_MAX && started + 1 < due.count && pthread_create(&hands[started], NULL, hand_run, NULL) == 0)
        started++;
    work_on();
    for (size_t i = 0; i < started; i++)
        pthread_join(hands[i], NULL);
    for (size_t i = 0; i < due.count; i++)
        memory_again(due.list[i].task_id, due.list[i].kind, due.is_done[i]);
    due.count = 0;
}

static void do_tasks(void)
{
    char after[200] = "", path[400];
    for (int page = 0; page < 1000 && !people.stop; page++) {
        long status;
        (void)snprintf(path, sizeof path, "/v1/tasks?limit=%d%s%s", TASKS_PER_PAGE, after[0] ? "&starting_after=" : "",
                       after);
        json_t *list = people_get(path, &status);
        const json_t *data = json_object_get(list, "data");
        size_t i;
        const json_t *task;
        if (status == 200)
            json_array_foreach (data, i, task)
                if (!people.stop)
                    note_due(task);
        do_due();
        bool more = status == 200 && json_is_true(json_object_get(list, "has_more")) && json_array_size(data) > 0;
        const char *next = svc_text(list, "next");
        if (more)
            people_escape(next[0] ? next : svc_text(json_array_get(data, json_array_size(data) - 1), "id"), after,
                          sizeof after);
        json_decref(list);
        if (!more)
            return;
    }
}

/* Some customers mend what the checks found; the operator retries, and at the end accepts what was mended. */
static void mend(const json_t *import, bool is_held)
{
    struct person p = {0};
    const char *id = svc_text(import, "id");
    char path[300];
    if (!person_of_account(&p, account_of(import)) || !svc_is(p.kind, "mends_after_failure"))
        return;
    if (!memory_due(id, p.kind, &p.tries) || p.tries >= 8)
        return;
    json_t *body = json_object();
    bool done = is_held || people_act(&p, "customer.rename_role", NULL);
    if (is_held) {
        json_object_set_new(body, "by", json_string("o.perator@reseller.example"));
        json_object_set_new(body, "reason", json_string("the customer renamed the role that stood in our way"));
    }
    (void)snprintf(path, sizeof path, "/v1/imports/%.160s:%s", id, is_held ? "accept" : "retry");
    memory_again(id, p.kind, fleet_post(path, body) && done);
}

static void do_stopped(const char *state)
{
    char after[200] = "", path[400];
    for (int page = 0; page < 100 && !people.stop; page++) {
        long status;
        (void)snprintf(path, sizeof path, "/v1/imports?state=%s&limit=100%s%s", state,
                       after[0] ? "&starting_after=" : "", after);
        json_t *list = people_get(path, &status);
        const json_t *data = json_object_get(list, "data");
        size_t i;
        const json_t *import;
        json_array_foreach (data, i, import)
            mend(import, svc_is(state, "held"));
        bool more = status == 200 && json_is_true(json_object_get(list, "has_more")) && json_array_size(data) > 0;
        const char *next = svc_text(list, "next");
        if (more)
            people_escape(next[0] ? next : svc_text(json_array_get(data, json_array_size(data) - 1), "id"), after,
                          sizeof after);
        json_decref(list);
        if (!more)
            return;
    }
}

/* Looked at less often than tasks. */
static void do_all_stopped(void)
{
    if (people_now() < people.stopped_looked_ms + 700)
        return;
    people.stopped_looked_ms = people_now();
    do_stopped("failed");
    do_stopped("held");
}

static void read_token(void)
{
    FILE *file = people.token_file[0] ? fopen(people.token_file, "re") : NULL;
    if (file == NULL)
        return;
    size_t bytes = fread(people.token, 1, sizeof people.token - 1, file);
    people.token[bytes] = '\0';
    people.token[strcspn(people.token, " \r\n")] = '\0';
    (void)fclose(file);
}

static void *people_run(void *arg)
{
    (void)arg;
    uint32_t pause = people.delay_ms / 2 < 50 ? 50 : people.delay_ms / 2 > 1000 ? 1000 : people.delay_ms / 2;
    if (!people_http_open(&people.stop))
        return NULL;
    while (!people.stop) {
        people.round++;
        read_token();
        do_tasks();
        do_all_stopped();
        memory_forget();
        for (uint32_t slept = 0; slept < pause && !people.stop; slept += 25)
            nanosleep(&(struct timespec){.tv_nsec = 25000000}, NULL);
    }
    people_http_close();
    return NULL;
}

int sim_people_start(const char *self_url, const char *dispatcher_url, const char *token_file, uint32_t delay_ms,
                     uint64_t seed)
{
    (void)snprintf(people.self, sizeof people.self, "%s", self_url);
    (void)snprintf(people.fleet, sizeof people.fleet, "%s", dispatcher_url);
    size_t bytes = strlen(people.fleet);
    if (bytes > 0 && people.fleet[bytes - 1] == '/')
        people.fleet[bytes - 1] = '\0';
    (void)snprintf(people.token_file, sizeof people.token_file, "%s", token_file ? token_file : "");
    people.delay_ms = delay_ms;
    people.random = seed * 2862933555777941757u + 3037000493u;
    people.memory = json_object();
    people.imports = json_object();
    people.worlds = json_object();
    people.running = pthread_create(&people.thread, NULL, people_run, NULL) == 0;
    return people.running ? 0 : -1;
}

void sim_people_stop(void)
{
    if (!people.running)
        return;
    people.stop = true;
    pthread_join(people.thread, NULL);
    people.running = false;
    json_decref(people.memory);
    json_decref(people.imports);
    json_decref(people.worlds);
}
