/* Chunks on the host's side: big values of a walk that is under way, as compressed blobs by content, for a few hours.
 * What a journal names and Redis does not have any more is told as null: the step reads it again. */
#include "worker/runtime/engine_private.h"

#define KEEP_MS (3u * 3600000u) /* longer than any step believes a chunk */

struct chunk_io {
    struct step_call *call; /* NULL: nobody waits any more */
    json_t *stub;
};

bool chunk_is_about(const struct step_call *call)
{
    return call->op == &step_op_chunk_put || call->op == &step_op_chunk_get;
}

static void answer(struct chunk_io *io, const json_t *facts, const struct err *err)
{
    struct step_call *call = io->call;
    if (call) {
        call->host_data = NULL;
        step_answered(call, &(struct step_answer){.facts = facts, .err = err});
    }
    json_decref(io->stub);
    mem_free(io);
}

static void stored(void *arg, const struct err *err)
{
    struct chunk_io *io = arg;
    answer(io, io->stub, err);
}

static void loaded(void *arg, const struct err *err, const void *bytes, size_t len)
{
    struct chunk_io *io = arg;
    struct err own = {0};
    bool is_absent = err && err->code == ERR_NOT_FOUND;
    json_auto_t *value = err ? NULL : blob_read(bytes, len, io->stub, &own);
    if (!err && !value)
        log_error(LOG_WARN, "chunk.unreadable", &own, NULL);
    json_auto_t *facts = value ? json_incref(value) : json_null();
    answer(io, facts, is_absent ? NULL : err);
}

void chunk_call(struct engine *e, const char *import_id, struct step_call *call)
{
    struct chunk_io *io = MEM_NEW(struct chunk_io);
    io->call = call;
    call->host_data = io;
    if (call->op == &step_op_chunk_get) {
        io->stub = json_deep_copy(call->args);
        queue_blob_get(e->queue, import_id, json_str_at(io->stub, "$blob"), loaded, io);
        return;
    }
    AUTO_FREE char *text = json_text(step_chunk_of(call)), *stub = NULL;
    void *bytes = NULL;
    size_t len = 0;
    char digest[65];
    struct err err;
    blob_make(text, &bytes, &len, &stub, digest);
    io->stub = json_read(stub, strlen(stub), 0, &err);
    queue_blob_lend(e->queue, import_id, digest, bytes, len, KEEP_MS, stored, io);
    mem_free(bytes);
}

void chunk_cancel(struct step_call *call)
{
    struct chunk_io *io = call->host_data;
    if (io)
        io->call = NULL;
    call->host_data = NULL;
}
