/* drill_submit: puts imports of a drill playbook into the queue, many at a time, without dispatcher and profile.
 *
 *   drill_submit --redis=URL --playbook=FILE --imports=N [--shards=1] [--in-flight=256] [--ids=FILE]
 *                [--worlds=FILE --credentials=FILE --keys=DIR]
 *
 * With a simulated AWS: --worlds and --credentials are what orgimport-awssim wrote; imports go round its organizations
 * that hand over a key, one open import each, so more imports than organizations come in waves. Without: every import
 * is of an account that nobody has.
 *
 * --ids: one line "IMPORT ACCOUNT" per import, written only when Redis has answered that it has it: what stands there
 * may not be lost. An answer that was lost is asked for again with the same id. Prints {"submitted", "ms"}. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/ini.h"
#include "common/crypto/seal.h"
#include "dispatcher/planner/playbook.h"
#include "tests/drill/drill_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 4096
#define AGAIN_MS 200         /* Redis does not answer */
#define ACCOUNT_BUSY_MS 1000 /* the account's import before this one is still open */
#define ACCOUNT_BASE 700000000000ull
#define FILE_MAX ((size_t)512 << 20)

struct account {
    char id[13];
    char *credential; /* sealed, as it is stored */
};

struct order { /* one import on its way; many share the loop */
    struct drill_submit *all;
    struct order *next;
    char id[IMPORT_ID_BYTES], account_key[32], account[13];
    const char *credential;
    char *doc;
    uint64_t due_ms;
};

struct drill_submit {
    struct drill drill;
    struct playbook *playbook;
    json_t *keys; /* external_ref -> {access_key_id, secret_access_key} */
    struct account *accounts;
    size_t account_count;
    uint64_t imports, begun, answered;
    uint32_t in_flight, in_flight_max;
    struct order *waiting; /* for another try, any order */
    uv_timer_t timer;
    FILE *ids;
    const char *ids_path, *worlds, *credentials, *keys_dir, *playbook_path;
};

/* ---- Organizations of the simulated AWS ---- */
static int take_key(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err)
{
    struct drill_submit *m = arg;
    (void)line;
    (void)err;
    json_t *one = json_object_get(m->keys, section);
    if (!one) {
        one = json_object();
        json_put(m->keys, section, one);
    }
    json_put_str(one, str_eq(key, "aws_access_key_id") ? "access_key_id" : "secret_access_key", value);
    return 0;
}

static json_t *read_json_file(const char *path, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    return file_read(path, FILE_MAX, &text, &len, err) ? NULL : json_read(text, len, 0, err);
}

static int add_world(struct drill_submit *m, const json_t *public_key, const json_t *world, struct err *err)
{
    const json_t *key = json_object_get(m->keys, json_str_at(world, "external_ref"));
    struct account *a = &m->accounts[m->account_count];
    if (!key)
        return 0; /* hands over a role, which a person would have to make first */
    (void)snprintf(a->id, sizeof a->id, "%s", json_str_at(world, "account"));
    json_auto_t *sealed = seal_credential(public_key, "aws", a->id, key, err);
    if (!sealed)
        return -1;
    a->credential = json_text(sealed);
    m->account_count++;
    return 0;
}

static int read_worlds(struct drill_submit *m, struct err *err)
{
    AUTO_FREE char *ini = NULL;
    size_t len = 0, i = 0;
    const json_t *world = NULL;
    m->keys = json_object();
    if (file_read(m->credentials, FILE_MAX, &ini, &len, err) || ini_read(ini, len, take_key, m, err))
        return -1;
    json_auto_t *worlds = read_json_file(m->worlds, err), *public_key = seal_public_key(m->keys_dir, err);
    if (!worlds || !public_key)
        return -1;
    m->accounts = mem_alloc((json_array_size(worlds) + 1) * sizeof *m->accounts);
    json_array_foreach (worlds, i, world)
        if (add_world(m, public_key, world, err))
            return -1;
    return m->account_count ? 0 : err_set(err, ERR_USAGE, "no organization there hands over a key");
}

/* ---- One import ---- */
static char *make_doc(const struct drill_submit *m, const struct order *o)
{
    json_auto_t *steps = json_array();
    for (uint8_t i = 0; i < m->playbook->dag.step_count; i++)
        (void)json_array_append_new(steps, json_string(json_str_at(m->playbook->steps[i], "id")));
    AUTO_FREE char *playbook = mem_printf("%s@%lld", m->playbook->name, (long long)m->playbook->version);
    json_auto_t *doc = json_make("{s:s, s:s, s:b, s:s, s:O, s:I, s:{s:s}, s:{s:s, s:s}, s:{s:s}, s:[], s:{}, s:{}}",
                                 "id", o->id, "external_ref", o->id, "livemode", 0, "playbook", playbook, "steps",
                                 steps, "created_ms", (json_int_t)env_unix_ms(env_system()), "customer", "name",
                                 "Drill", "organization", "partition", "aws", "management_account_id", o->account,
                                 "access", "method", "sealed_key", "skipped", "labels", "options");
    json_put(doc, "vars",
             json_make("{s:s, s:s, s:s, s:s, s:s}", "id", "drill", "partition", "aws", "account_id", o->account,
                       "import_id", o->id, "region", "us-east-1"));
    return json_text(doc);
}

static struct order *order_new(struct drill_submit *m, uint64_t number)
{
    struct order *o = MEM_NEW(struct order);
    o->all = m;
    if (m->account_count) {
        const struct account *a = &m->accounts[number % m->account_count];
        memcpy(o->account, a->id, sizeof o->account);
        o->credential = a->credential;
    } else {
        (void)snprintf(o->account, sizeof o->account, "%012llu", ACCOUNT_BASE + (unsigned long long)number);
    }
    (void)snprintf(o->account_key, sizeof o->account_key, "aws/%s", o->account);
    queue_import_id(m->drill.queue, "aws", o->account, o->id);
    o->doc = make_doc(m, o);
    return o;
}

static void pump(struct drill_submit *m);

static void try_later(struct order *o, uint64_t delay_ms)
{
    o->due_ms = env_boot_ms(env_system()) + delay_ms;
    o->next = o->all->waiting;
    o->all->waiting = o;
}

static void submitted(void *arg, const struct err *err, const char *existing_id)
{
    struct order *o = arg;
    struct drill_submit *m = o->all;
    (void)existing_id; /* without an error it is this very import */
    m->in_flight--;
    if (err && err->code != ERR_REDIS && err->code != ERR_IMPORT_EXISTS)
        drill_fail("drill_submit", o->id, err);
    if (err) {
        try_later(o, err->code == ERR_REDIS ? AGAIN_MS : ACCOUNT_BUSY_MS);
    } else {
        m->answered++;
        if (m->ids)
            (void)fprintf(m->ids, "%s %s\n", o->id, o->account);
        mem_free(o->doc);
        mem_free(o);
    }
    pump(m);
}

static void send_order(struct drill_submit *m, struct order *o)
{
    struct record record = {0};
    const bool skipped[RECORD_STEPS_MAX] = {0};
    record_new(&m->playbook->dag, skipped, env_unix_ms(env_system()), &record);
    record.flags |= RECORD_IS_SIMULATED;
    m->in_flight++;
    queue_submit(m->drill.queue,
                 &(struct queue_submit){.import_id = o->id,
                                        .account_key = o->account_key,
                                        .dag = &m->playbook->dag,
                                        .record = &record,
                                        .doc = o->doc,
                                        .credential = o->credential},
                 submitted, o);
}

static struct order *take_due(struct drill_submit *m)
{
    uint64_t now = env_boot_ms(env_system());
    for (struct order **at = &m->waiting; *at; at = &(*at)->next) {
        struct order *o = *at;
        if (o->due_ms > now)
            continue;
        *at = o->next;
        return o;
    }
    return NULL;
}

/* How many wait for their account: no more are begun than there are accounts, or the list would only be looked through.
 */
static uint64_t open_orders(const struct drill_submit *m)
{
    return m->begun - m->answered;
}

static void pump(struct drill_submit *m)
{
    uint64_t most = m->account_count && m->account_count < m->in_flight_max ? m->account_count : m->in_flight_max;
    while (m->in_flight < m->in_flight_max) {
        struct order *o = take_due(m);
        if (!o && m->begun < m->imports && open_orders(m) < most)
            o = order_new(m, m->begun++);
        if (!o)
            return;
        send_order(m, o);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct drill_submit *m = timer->data;
    if (m->ids)
        (void)fflush(m->ids);
    pump(m);
}

/* ---- The program ---- */
static bool own_option(struct drill_submit *m, const char *word)
{
    const char *value = NULL;
    uint64_t n = 0;
    if ((value = drill_value(word, "playbook")))
        m->playbook_path = value;
    else if ((value = drill_value(word, "worlds")))
        m->worlds = value;
    else if ((value = drill_value(word, "credentials")))
        m->credentials = value;
    else if ((value = drill_value(word, "keys")))
        m->keys_dir = value;
    else if ((value = drill_value(word, "ids")))
        m->ids_path = value;
    else if ((value = drill_value(word, "imports")) && str_to_u64(value, 100000000, &n))
        m->imports = n;
    else if ((value = drill_value(word, "in-flight")) && str_to_u64(value, IN_FLIGHT_MAX, &n) && n)
        m->in_flight_max = (uint32_t)n;
    else
        return false;
    return true;
}

static void read_options(struct drill_submit *m, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (drill_option(&m->drill, argv[i]) || own_option(m, argv[i]))
            continue;
        (void)fprintf(stderr, "drill_submit: what is %s?\n", argv[i]);
        exit(2);
    }
    if (!m->playbook_path || !m->imports || (m->worlds && (!m->credentials || !m->keys_dir))) {
        (void)fputs("usage: drill_submit " DRILL_OPTIONS " --playbook=FILE --imports=N [--in-flight=256] [--ids=FILE] "
                    "[--worlds=FILE --credentials=FILE --keys=DIR]\n",
                    stderr);
        exit(2);
    }
}

static void run(struct drill_submit *m)
{
    uint64_t began = env_boot_ms(env_system());
    m->timer.data = m;
    ASSERT(uv_timer_init(&m->drill.loop, &m->timer) == 0 && uv_timer_start(&m->timer, on_timer, 20, 20) == 0);
    pump(m);
    while (m->answered < m->imports)
        (void)uv_run(&m->drill.loop, UV_RUN_ONCE);
    (void)printf("{\"submitted\": %llu, \"ms\": %llu}\n", (unsigned long long)m->answered,
                 (unsigned long long)(env_boot_ms(env_system()) - began));
    uv_close((uv_handle_t *)&m->timer, NULL);
}

int main(int argc, char **argv)
{
    static struct drill_submit m = {.in_flight_max = 256};
    struct err err = {0};
    read_options(&m, argc, argv);
    if (playbook_load(m.playbook_path, &m.playbook, &err) || (m.worlds && read_worlds(&m, &err)))
        drill_fail("drill_submit", "input", &err);
    if (m.ids_path && !(m.ids = fopen(m.ids_path, "ae"))) {
        perror(m.ids_path);
        return 2;
    }
    drill_open(&m.drill, "drill_submit");
    run(&m);
    drill_close(&m.drill);
    if (m.ids)
        (void)fclose(m.ids);
    for (size_t i = 0; i < m.account_count; i++)
        mem_free(m.accounts[i].credential);
    mem_free(m.accounts);
    json_decref(m.keys);
    playbook_free(m.playbook);
    return 0;
}
