/* See queue_retire.h; the function `retire` says what goes. */
#include "common/queue/queue_retire.h"

#include "common/base/mem.h"
#include "common/queue/queue_private.h"

#include <stdio.h>

struct retire {
    struct queue *q;
    queue_done_fn *done;
    void *arg;
    char id[IMPORT_ID_BYTES];
};

static void ask(struct retire *r, uint64_t from);

static void retire_end(struct retire *r, const struct err *err)
{
    r->done(r->arg, err);
    queue_unref(r->q);
    mem_free(r);
}

/* {0, the next piece, or nothing when all is gone}; {1} it was gone; {2, why not}. */
static void on_piece(void *arg, const struct err *fault, const redisReply *reply)
{
    struct retire *r = arg;
    struct err err = {0};
    const redisReply *next = queue_reply_at(reply, 1);
    if (!fault && queue_reply_code(reply, r->id, &err) && err.code != ERR_NOT_FOUND)
        fault = &err;
    if (!fault && !err.code && next)
        ask(r, queue_reply_u64(next));
    else
        retire_end(r, fault);
}

static void ask(struct retire *r, uint64_t from)
{
    struct queue_args args = queue_fcall(r->q, "retire", queue_shard_of_import(r->id));
    queue_args_add(&args, r->id);
    queue_args_addf(&args, "%llu", (unsigned long long)from);
    queue_call(r->q, &args, on_piece, r);
}

void queue_retire(struct queue *q, const char *import_id, queue_done_fn *done, void *arg)
{
    struct retire *r = MEM_NEW(struct retire);
    *r = (struct retire){.q = queue_ref(q), .done = done, .arg = arg};
    (void)snprintf(r->id, sizeof r->id, "%s", import_id);
    if (queue_id_is_valid(q, import_id)) {
        ask(r, 0);
        return;
    }
    struct err err;
    (void)err_set(&err, ERR_NOT_FOUND, "no import of that id");
    queue_fail_later(q, &err, on_piece, r);
}
