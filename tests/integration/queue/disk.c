/* The disk of Redis is full: its files may not grow any more (RLIMIT_FSIZE: write() writes less, then fails, as on a
 * full disk), and later they may. */
#include "tests/integration/queue/rig.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define S1 0x4000000000000001ULL
#define ROOM_BYTES 20000
#define IMPORTS_MAX 200

static unsigned serial;
static char ids[IMPORTS_MAX][IMPORT_ID_BYTES];

static void limit_disk(bool is_full)
{
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/appendonlydir/appendonly.aof.1.incr.aof", rig.folder);
    CHECK(stat(path, &st) == 0);
    rlim_t most = is_full ? (rlim_t)st.st_size + ROOM_BYTES : RLIM_INFINITY;
    struct rlimit limit = {.rlim_cur = most, .rlim_max = RLIM_INFINITY};
    CHECK(prlimit(rig.server, RLIMIT_FSIZE, &limit, NULL) == 0);
}

/* Until Redis takes no more; gives how many were accepted. */
static unsigned submit_until_refused(enum err_code *ret)
{
    struct dag dag = rig_dag("0 1:0");
    char account[32], existing[IMPORT_ID_BYTES];
    unsigned accepted = 0;
    *ret = ERR_NONE;
    while (!*ret) {
        CHECK(accepted < IMPORTS_MAX);
        (void)snprintf(ids[accepted], IMPORT_ID_BYTES, "imp_00d%u", serial);
        (void)snprintf(account, sizeof account, "aws/d%u", serial++);
        *ret = rig_submit(ids[accepted], account, &dag, NULL, existing);
        accepted += !*ret;
    }
    CHECK(accepted);
    return accepted;
}

/* Not before Redis tries to write again, once a second. */
static enum err_code turn_until_taken(uint32_t want, const struct queue_item *item, struct rig_turn *ret)
{
    enum err_code code = ERR_REDIS_DISK;
    for (int i = 0; i < 500 && code == ERR_REDIS_DISK; i++) {
        code = rig_turn(S1, want, item, item ? 1 : 0, ret);
        if (code == ERR_REDIS_DISK)
            rig_sleep(20);
    }
    return code;
}

static void a_full_disk_is_said_and_all_goes_on_when_there_is_space(void)
{
    struct rig_turn t;
    enum err_code code;
    CHECK_OK(rig_session(S1, 60000));
    limit_disk(true);
    (void)submit_until_refused(&code);
    CHECK_ERR(code, ERR_REDIS_DISK);
    CHECK(strstr(rig_text, "MISCONF") && err_info(code)->owner == OWNER_OPERATOR &&
          err_info(code)->retry == RETRY_BACKOFF);
    CHECK_ERR(rig_turn(S1, 1, NULL, 0, &t), ERR_REDIS_DISK); /* nor is anything claimed */
    limit_disk(false);
    CHECK_OK(turn_until_taken(1, NULL, &t));
    CHECK(t.claim_count == 1);
    struct queue_held held = t.claims[0];
    struct queue_item done = rig_item(&held, 0, OUTCOME_DONE);
    limit_disk(true);
    (void)submit_until_refused(&code);
    CHECK_ERR(rig_turn(S1, 0, &done, 1, &t), ERR_REDIS_DISK); /* a finish waits, too: it could not be kept */
    limit_disk(false);
    CHECK_OK(turn_until_taken(0, &done, &t));
    CHECK(t.items[0].ack == ACK_OK);
    CHECK(rig_record(t.items[0].import_id).remaining == 1);
    rig_audit();
}

/* With appendfsync always, Redis ends rather than answer for what it could not write. */
static void what_was_accepted_outlives_a_full_disk(void)
{
    enum err_code code;
    freeReplyObject(rig_command("CONFIG SET appendfsync always"));
    limit_disk(true);
    unsigned accepted = submit_until_refused(&code);
    CHECK_ERR(code, ERR_REDIS);
    CHECK(waitpid(rig.server, NULL, 0) == rig.server);
    redisFree(rig.plain);
    rig.plain = NULL;
    rig_server_start(); /* with space again */
    for (unsigned i = 0; i < accepted; i++)
        CHECK(rig_record(ids[i]).remaining == 2);
    rig_audit();
}

int main(void)
{
    rig_start("appendonly yes\nappendfsync everysec\nauto-aof-rewrite-percentage 0\n", 1, false);
    rig_open(true);
    RUN(a_full_disk_is_said_and_all_goes_on_when_there_is_space);
    RUN(what_was_accepted_outlives_a_full_disk);
    rig_stop();
    return 0;
}
