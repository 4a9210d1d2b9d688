/* A Redis with a replica: what is promised is on both before anybody hears of it. The replica is a real server that is
 * stopped and let go on; nothing here sleeps. */
#include "tests/integration/queue/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define S1 0x3000000000000001ULL

static pid_t replica;

static unsigned open_port(void)
{
    unsigned port = 31000 + (unsigned)getpid() % 1000;
    for (unsigned last = port + 500; port < last; port++) { /* somebody else may listen on a port: the next one then */
        redisReply *reply = redisCommand(rig.plain, "CONFIG SET port %u", port);
        CHECK(reply);
        bool is_open = reply->type != REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        if (is_open)
            return port;
    }
    rig_fail(__FILE__, __LINE__, "no free port");
}

static void replica_kill(void)
{
    if (replica > 0)
        (void)kill(replica, SIGKILL);
}

static void replica_start(unsigned port)
{
    char dir[96], of[48];
    (void)snprintf(dir, sizeof dir, "%s", rig.folder);
    (void)snprintf(of, sizeof of, "127.0.0.1 %u", port);
    replica = fork();
    CHECK(replica >= 0);
    if (replica == 0) {
        int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(log, 1);
        (void)dup2(log, 2);
        (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", "replica.sock", "--dir", dir,
                     "--save", "", "--replicaof", of, "--dbfilename", "replica.rdb", (char *)NULL);
        _exit(77);
    }
    (void)atexit(replica_kill);
    for (int i = 0; i < 1000; i++) {
        redisReply *info = rig_command("INFO replication");
        bool is_online = strstr(info->str, "state=online") != NULL;
        freeReplyObject(info);
        if (is_online)
            return;
        rig_sleep(10);
    }
    rig_fail(__FILE__, __LINE__, "the replica does not come online");
}

static void submit(const char *id, const char *account, struct rig_turn *ret)
{
    struct dag dag = rig_dag("0w 1:0w");
    char existing[IMPORT_ID_BYTES];
    CHECK_OK(rig_submit(id, account, &dag, NULL, existing));
    CHECK_OK(rig_turn(S1, 1, NULL, 0, ret));
    CHECK(ret->claim_count == 1);
}

static void an_intent_is_acknowledged_when_the_replica_has_it(void)
{
    struct rig_turn t;
    submit("imp_00r1", "aws/r1", &t);
    struct queue_held held = t.claims[0];
    struct queue_item intent = rig_item(&held, 0, OUTCOME_SAVE);
    intent.journal = "{\"writes\":{}}";
    CHECK_OK(rig_turn(S1, 0, &intent, 1, &t));
    CHECK(t.items[0].ack == ACK_OK);

    CHECK(kill(replica, SIGSTOP) == 0);
    intent.journal = "{\"writes\":{\"create\":{}}}";
    CHECK_ERR(rig_turn(S1, 0, &intent, 1, &t), ERR_REDIS);
    CHECK(strstr(rig_text, "replica"));
    /* Turns that promise nothing need no replica: a fleet without one still beats, claims and hands back. */
    CHECK_OK(rig_turn(S1, 0, NULL, 0, &t));
    CHECK(kill(replica, SIGCONT) == 0);
    CHECK_OK(rig_turn(S1, 0, &intent, 1, &t));
    CHECK(t.items[0].ack == ACK_OK || t.items[0].ack == ACK_ALREADY);
}

static void an_end_is_acknowledged_when_the_replica_has_it(void)
{
    struct rig_turn t;
    submit("imp_00r2", "aws/r2", &t);
    struct queue_held held = t.claims[0];
    struct queue_item end = rig_item(&held, 0, OUTCOME_DONE);
    CHECK(kill(replica, SIGSTOP) == 0);
    CHECK_ERR(rig_turn(S1, 0, &end, 1, &t), ERR_REDIS);
    CHECK(kill(replica, SIGCONT) == 0);
    CHECK_OK(rig_turn(S1, 0, &end, 1, &t));
    CHECK(t.items[0].ack == ACK_ALREADY);
}

static void an_import_is_accepted_when_the_replica_has_it(void)
{
    struct dag dag = rig_dag("0");
    char existing[IMPORT_ID_BYTES];
    CHECK(kill(replica, SIGSTOP) == 0);
    CHECK_ERR(rig_submit("imp_00r3", "aws/r3", &dag, NULL, existing), ERR_REDIS);
    CHECK(kill(replica, SIGCONT) == 0);
    CHECK_OK(rig_submit("imp_00r3", "aws/r3", &dag, NULL, existing));
    CHECK(strcmp(existing, "imp_00r3") == 0);
}

/* "Cancelled" is not said while a failover could take it back. */
static void a_decision_is_acknowledged_when_the_replica_has_it(void)
{
    CHECK(kill(replica, SIGSTOP) == 0);
    CHECK_ERR(rig_decide(queue_cancel, "imp_00r3"), ERR_REDIS);
    CHECK(kill(replica, SIGCONT) == 0);
    CHECK_OK(rig_decide(queue_cancel, "imp_00r3"));
}

int main(void)
{
    rig_start("appendonly yes\nappendfsync everysec\nrepl-diskless-sync-delay 0\n", 1, false);
    replica_start(open_port());
    rig_open(false);
    CHECK_OK(rig_session(S1, 60000));
    RUN(an_intent_is_acknowledged_when_the_replica_has_it);
    RUN(an_end_is_acknowledged_when_the_replica_has_it);
    RUN(an_import_is_accepted_when_the_replica_has_it);
    RUN(a_decision_is_acknowledged_when_the_replica_has_it);
    replica_kill();
    (void)waitpid(replica, NULL, 0);
    replica = 0;
    rig_stop();
    return 0;
}
