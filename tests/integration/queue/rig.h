/* A real redis-server in a folder of its own, and the queue's calls made to wait: tests read from top to bottom.
 * Every check prints where it failed and ends the program with 1. */
#pragma once

#include "common/queue/queue.h"
#include "common/queue/transition.h"

#include <stdio.h>
#include <sys/types.h>

#define CHECK(cond) ((cond) ? (void)0 : rig_fail(__FILE__, __LINE__, #cond))
#define CHECK_OK(call) CHECK_ERR(call, ERR_NONE)
#define CHECK_ERR(call, want) rig_check_code(__FILE__, __LINE__, #call, call, want)
_Noreturn void rig_fail(const char *file, int line, const char *what);
void rig_check_code(const char *file, int line, const char *what, enum err_code got, enum err_code want);
#define RUN(test)                                                                                                      \
    do {                                                                                                               \
        (void)puts(#test);                                                                                             \
        (void)fflush(stdout);                                                                                          \
        test();                                                                                                        \
    } while (0)

struct rig {
    char folder[64], url[128], socket[96];
    char queue_url[192]; /* as the user whom the queue is for */
    pid_t server;
    uv_loop_t loop;
    struct redis *redis;
    struct queue *queue;
    redisContext *plain; /* for looking, and for breaking things */
    uint32_t shards;
};
extern struct rig rig;
extern char rig_text[320]; /* text of the last error */

/* Ends with 77 when there is no redis-server. The clock is Redis's, or `rig_clock` with `fake_clock`. */
void rig_start(const char *conf, uint32_t shards, bool fake_clock);
void rig_stop(void);
void rig_server_start(void);
void rig_server_kill(void);
void rig_open(bool is_relaxed); /* connect and open the queue */
enum err_code rig_open_as(bool is_simulated, uint32_t shards, bool is_relaxed);
void rig_close(void);
void rig_clock_set(uint64_t now_us);
void rig_clock_add(uint64_t ms);
extern uint64_t rig_clock_us;
extern uint32_t rig_verify; /* of the queue that is opened next */
/* Runs the loop until *done. */
void rig_wait(const bool *done);
void rig_sleep(uint64_t ms);

/* Waiting forms. Replies are copied; free with rig_reply_done. */
enum err_code rig_submit(const char *id, const char *account, const struct dag *dag, const bool *skipped,
                         char *ret_existing);
/* The same with a group (0: none) and a weight. */
struct rig_share {
    uint32_t group;
    uint8_t weight;
};
enum err_code rig_submit_as(const char *id, const char *account, const struct dag *dag, const bool *skipped,
                            struct rig_share share, char *ret_existing);
enum err_code rig_session(uint64_t session, uint32_t lease_ms);
enum err_code rig_session_refresh(uint64_t session, uint32_t lease_ms, const char *worker_json);
enum err_code rig_session_close(uint64_t session);
struct rig_turn {
    uint64_t now_ms, next_due_ms;
    bool others_wait, is_gone;
    size_t item_count, claim_count, mail_count;
    struct queue_held items[32], claims[200];
    char mail[64][IMPORT_ID_BYTES];
};
enum err_code rig_turn(uint64_t session, uint32_t want, const struct queue_item *items, size_t count,
                       struct rig_turn *ret);
/* As a worker does it; rig_turn() also looks at all timers and brings all mail. */
enum err_code rig_turn_plain(uint64_t session, uint32_t want, const struct queue_item *items, size_t count,
                             struct rig_turn *ret);
enum err_code rig_session_list(uint64_t session, struct rig_turn *ret);
/* One item for a step that `held` has ACTIVE. */
struct queue_item rig_item(const struct queue_held *held, unsigned step, enum queue_outcome outcome);
typedef void rig_decide_fn(struct queue *q, const char *import_id, const char *json, queue_done_fn *done, void *arg);
enum err_code rig_decide(rig_decide_fn *fn, const char *id);
enum err_code rig_redrive(const char *id, int step);
enum err_code rig_undo(const char *id, const struct dag *undo, uint64_t again);
enum err_code rig_signal(const char *id, int step, const char *key, const char *body);
uint64_t rig_tick(void);
struct record rig_record(const char *id);
bool rig_is_same(const struct record *a, const struct record *b);
json_t *rig_get(const char *id); /* new reference */
/* Calls of the kind queue_X(q, ..., queue_json_fn, arg). */
struct rig_json {
    bool is_done;
    enum err_code code;
    json_t *value;
};
void rig_on_json(void *arg, const struct err *err, json_t *value);
/* Walks everything; prints faults and fails. Gives what was checked. */
void rig_audit(void);
json_t *rig_audit_faults(void); /* new reference */

/* Shapes for tests: "0 1:0 2:0,1w" = step 2 needs 0 and 1 and is a writer; r: reader, c: on_fail continue; attempts 3.
 */
struct dag rig_dag(const char *text);
/* What a holder needs to compute ahead in imports of that shape. */
void rig_learn_shape(const struct dag *dag);
/* redis-cli for the impatient; the reply is the caller's. */
redisReply *rig_command(const char *fmt, ...);
long long rig_number(const char *fmt, ...);
