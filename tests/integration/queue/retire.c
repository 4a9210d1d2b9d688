/* An ended look for drift goes whole: no key, no field, no place in any index names it afterwards, and the audit is
 * content at every moment between. An import never goes. What an import knows of CloudTrail comes back as it was put.
 */
#include "tests/integration/queue/life.h"

#include "common/base/mem.h"
#include "common/queue/queue_retire.h"
#include "common/queue/queue_trail.h"

#include <string.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STEPS 12u

struct answer {
    bool is_done;
    enum err_code code;
};

static void on_done(void *arg, const struct err *err)
{
    struct answer *a = arg;
    a->code = err ? err->code : ERR_NONE;
    a->is_done = true;
}

static enum err_code retire(const char *id)
{
    struct answer a = {0};
    queue_retire(rig.queue, id, on_done, &a);
    rig_wait(&a.is_done);
    return a.code;
}

static void put_blob(const char *id)
{
    struct answer a = {0};
    queue_blob_put(rig.queue, id, DIGEST, "big", 3, on_done, &a);
    rig_wait(&a.is_done);
    CHECK(a.code == ERR_NONE);
}

static void put_trail(const char *id, const struct queue_trail_part *parts, size_t count, const json_t *gone)
{
    struct answer a = {0};
    queue_trail_put(rig.queue, id, parts, count, gone, on_done, &a);
    rig_wait(&a.is_done);
    CHECK(a.code == ERR_NONE);
}

/* How many elements of a reply are or begin with `id`. */
static size_t named_in(redisReply *reply, const char *id)
{
    size_t n = 0;
    for (size_t i = 0; i < reply->elements; i++)
        n += reply->element[i]->str && strstr(reply->element[i]->str, id) != NULL;
    freeReplyObject(reply);
    return n;
}

/* Everything in Redis that names it: keys, fields of the hash, members of the sorted sets. */
static size_t traces_of(const char *id)
{
    size_t n = named_in(rig_command("KEYS *"), id) + named_in(rig_command("HKEYS f:{0}:h"), id);
    redisReply *sets = rig_command("KEYS f:{0}:*");
    for (size_t i = 0; i < sets->elements; i++) {
        redisReply *type = rig_command("TYPE %s", sets->element[i]->str);
        if (str_eq(type->str, "zset"))
            n += named_in(rig_command("ZRANGE %s 0 -1", sets->element[i]->str), id);
        freeReplyObject(type);
    }
    freeReplyObject(sets);
    return n;
}

/* Entries of three lines each: more than one piece can take. */
#define LONG_ENTRIES 40

static struct queue_held write_long_ledger(const struct queue_held *held, unsigned step, char hash[65])
{
    struct queue_held h = *held;
    for (int n = 0; n < LONG_ENTRIES; n++) {
        AUTO_STR struct str entry;
        str_init(&entry, 4096);
        for (int k = 1; k <= 3; k++) {
            char prev[65];
            memcpy(prev, hash, sizeof prev);
            AUTO_FREE char *line = chain_line("zero", 3 * n + k, prev, hash);
            str_add(&entry, line);
        }
        struct queue_item it = rig_item(&h, step, OUTCOME_SAVE);
        it.journal = "{\"seq\":1}";
        it.ledger = entry.data;
        h = send_one(S1, it, ACK_OK);
    }
    CHECK(h.record.steps[step].lines == 3 * LONG_ENTRIES);
    return h;
}

/* A look of twelve steps that has ended, with all that can be left behind. */
static void make_ended(const char *id, const char *account)
{
    static const char *const kept = "{\"$blob\":\"" DIGEST "\",\"bytes\":3}";
    struct dag dag = rig_dag("0 1 2 3 4 5 6 7 8 9 10 11");
    char existing[IMPORT_ID_BYTES];
    CHECK_OK(rig_submit(id, account, &dag, NULL, existing));
    CHECK_OK(rig_decide(queue_pause, id));
    CHECK_OK(rig_decide(queue_resume, id));
    CHECK(rig_number("HEXISTS f:{0}:h %s>2", id) == 1);
    put_blob(id);
    put_trail(id, &(struct queue_trail_part){"us-east-1", "17", 2}, 1, NULL);
    CHECK_OK(rig_signal(id, 3, "done", "{\"by\":\"ann\"}"));
    for (struct queue_held h = claim_one(S1, id); h.record.remaining;) {
        unsigned i = 0;
        while (i < STEPS && h.record.steps[i].state != STATE_ACTIVE)
            i++;
        if (i == STEPS) { /* yielded after its quantum */
            h = claim_one(S1, id);
            continue;
        }
        char hash[65] = "";
        if (i == 0)
            h = write_long_ledger(&h, i, hash);
        AUTO_FREE char *line = chain_line("zero", (int)h.record.steps[i].lines + 1, hash, hash);
        struct queue_item it = rig_item(&h, i, OUTCOME_DONE);
        it.ledger = line;
        it.journal = "{\"seq\":1}";
        it.result = i % 2 ? kept : "{\"found\":0}";
        it.error = "{\"code\":\"x\"}";
        h = send_one(S1, it, ACK_OK);
    }
    CHECK(rig_record(id).state == IMPORT_COMPLETED);
    rig_audit();
}

static void an_ended_look_goes_whole(void)
{
    make_ended("imp_00look1", "drift/aws/111122223333");
    make_ended("imp_00look2", "drift/aws/111122223333");
    CHECK(traces_of("imp_00look1") > STEPS);
    CHECK_OK(retire("imp_00look1"));
    CHECK(traces_of("imp_00look1") == 0);
    rig_audit();
    CHECK(traces_of("imp_00look2") > STEPS && rig_record("imp_00look2").state == IMPORT_COMPLETED);
    CHECK_OK(retire("imp_00look1")); /* gone already */
    CHECK_OK(retire("imp_00look2"));
    CHECK(traces_of("imp_00look2") == 0);
    rig_audit();
}

/* Whoever deletes may die between two pieces. */
static void half_of_it_is_consistent_and_is_finished_by_another(void)
{
    make_ended("imp_00look3", "drift/aws/111122223333");
    unsigned pieces = 0, from = 0;
    while (from < STEPS) {
        CHECK(rig_number("HEXISTS f:{0}:h imp_00look3") == 1 && ++pieces < 40);
        redisReply *reply = rig_command("FCALL retire_1 1 f:{0}:h imp_00look3 %u", from);
        CHECK(reply->elements == 2 && reply->element[0]->integer == 0);
        from = (unsigned)reply->element[1]->integer;
        freeReplyObject(reply);
        rig_audit();
    }
    CHECK(pieces == 3 + (STEPS - 1) + 3); /* a chain of 121 lines, the others, the texts */
    CHECK_OK(retire("imp_00look3"));
    CHECK(traces_of("imp_00look3") == 0);
    rig_audit();
}

static void an_import_never_goes(void)
{
    struct dag dag = rig_dag("0 1:0");
    char existing[IMPORT_ID_BYTES];
    make_ended("imp_00real", "aws/111122223333");
    size_t before = traces_of("imp_00real");
    CHECK_ERR(retire("imp_00real"), ERR_STATE_CONFLICT);
    CHECK(traces_of("imp_00real") == before);
    CHECK_OK(rig_submit("imp_00open", "drift/aws/111122223334", &dag, NULL, existing));
    CHECK_ERR(retire("imp_00open"), ERR_STATE_CONFLICT); /* a look that has not ended */
    CHECK(rig_record("imp_00open").remaining == 2);
    put_away("imp_00open");
    CHECK_OK(retire("imp_00open"));
    CHECK(traces_of("imp_00open") == 0);
}

/* A field that is left over without its record is no retired look. */
static void the_audit_still_finds_what_is_torn(void)
{
    freeReplyObject(rig_command("HSET f:{0}:h imp_00torn/1= {}"));
    json_auto_t *faults = rig_audit_faults();
    CHECK(json_array_size(faults) == 1 && strstr(json_string_value(json_array_get(faults, 0)), "imp_00torn"));
    freeReplyObject(rig_command("HDEL f:{0}:h imp_00torn/1="));
    rig_audit();
}

/* ---- What is kept of CloudTrail ---- */
struct got {
    bool is_done;
    size_t count;
    char text[128];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct queue_trail_part *)a)->name, ((const struct queue_trail_part *)b)->name);
}

static void on_got(void *arg, const struct err *err, const struct queue_trail_part *parts, size_t count)
{
    struct got *g = arg;
    struct queue_trail_part sorted[8];
    CHECK(!err && count <= ARRAY_LEN(sorted));
    memcpy(sorted, parts, count * sizeof *parts);
    qsort(sorted, count, sizeof *sorted, by_name);
    *g = (struct got){.is_done = true, .count = count};
    for (size_t i = 0; i < count; i++)
        (void)snprintf(g->text + strlen(g->text), sizeof g->text - strlen(g->text), "%s=%zu:%.*s ", sorted[i].name,
                       sorted[i].len, (int)sorted[i].len, (const char *)sorted[i].bytes);
}

static void a_trail_comes_back_as_it_was_put(void)
{
    struct got g = {0};
    const char *id = import_new("0");
    queue_trail_get(rig.queue, id, on_got, &g);
    rig_wait(&g.is_done);
    CHECK(g.count == 0);
    put_trail(id, (const struct queue_trail_part[]){{"r", "17", 2}, {"r/a", "x\0y", 3}}, 2, NULL);
    json_auto_t *gone = json_make("[s]", "r/a");
    put_trail(id, (const struct queue_trail_part[]){{"r", "18", 2}, {"r/b", "zz", 2}}, 2, gone);
    g = (struct got){0};
    queue_trail_get(rig.queue, id, on_got, &g);
    rig_wait(&g.is_done);
    CHECK(str_eq(g.text, "r=2:18 r/b=2:zz "));
    put_trail(id, (const struct queue_trail_part[]){{"r/a", "x\0y", 3}}, 1, NULL);
    queue_trail_get(rig.queue, id, on_got, &g);
    g = (struct got){0};
    rig_wait(&g.is_done);
    CHECK(g.count == 3 && strstr(g.text, "r/a=3:x")); /* bytes, not text */
    (void)claim_one(S1, id);
    put_away(id);
}

int main(void)
{
    rig_start("appendonly no", 1, true);
    rig_open(true);
    CHECK_OK(rig_session(S1, 1000000));
    RUN(an_import_never_goes); /* and stays for the audits to walk */
    RUN(an_ended_look_goes_whole);
    RUN(half_of_it_is_consistent_and_is_finished_by_another);
    RUN(the_audit_still_finds_what_is_torn);
    RUN(a_trail_comes_back_as_it_was_put);
    rig_stop();
    return 0;
}
