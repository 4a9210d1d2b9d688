/* Bulk: durable first, created after. A batch is stored whole before it is acknowledged; any dispatcher then takes its
 * lease and submits row by row, so creation goes on after a kill of whoever began it. Rows are idempotent by
 * external_ref, so two runners at once (a lease that ran out) do no harm.
 *
 *   bat:ID HASH {rows, created_ms, state open|done, done, failed}   bat:ID:rows HASH index -> {line, request}
 *   bat:ID:res HASH index -> result   bat:ID:lease runner           bats SET of open batches */
#pragma once

#include "dispatcher/store/store.h"

#define BATCH_ID_BYTES 32 /* "bat_" + 24 */

struct batch_rows { /* prepared off the loop; texts are {"line":..,"request":{..}} */
    size_t count;
    char **texts;
};
/* Serialises checked rows; for any thread. */
void batch_rows_make(const struct input *in, struct batch_rows *ret);
void batch_rows_done(struct batch_rows *rows);

typedef void batch_created_fn(void *arg, const struct err *err, const char *id);
/* Takes the rows over. */
void batch_create(struct store *s, struct batch_rows *rows, batch_created_fn *done, void *arg);
/* {id, rows, done, failed, state, created_ms, results:[..sorted by line]}; from: results with index >= from, at most
 * limit. */
void batch_get(struct store *s, const char *id, store_json_fn *done, void *arg);

struct batch_runner;
struct batch_runner *batch_runner_new(struct store *s);
void batch_runner_kick(struct batch_runner *r); /* look for work now */
/* Stops taking rows; running ones end by themselves. Frees itself when the loop holds nothing of it. */
void batch_runner_stop(struct batch_runner *r);
