/* The effect log: one line per state transition with digests before and after. A repetition that changed nothing is
 * marked and counted apart, so "nothing took effect twice" can be read off the file. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

static FILE *out;
static struct sim_map by_account;
static uint64_t effects, repeats;

int sim_effects_open(const char *file)
{
    out = file ? fopen(file, "we") : NULL;
    return !file || out ? 0 : -1;
}

void sim_effects_flush(void)
{
    if (out)
        (void)fflush(out);
}

struct sim_before sim_before(const json_t *resource)
{
    struct sim_before before = {.digest = ""};
    if (!resource || json_is_null(resource))
        return before;
    char *text = json_dumps(resource, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text)
        abort();
    sim_sha256_hex(text, strlen(text), before.digest);
    free(text);
    return before;
}

void sim_effect(struct sim_request *rq, const char *resource_name, struct sim_before before, const json_t *after)
{
    struct sim_before now = sim_before(after);
    bool repeat = strcmp(before.digest, now.digest) == 0;
    char op[160];
    (void)snprintf(op, sizeof op, "%s:%s", sim_action_prefix(rq->service), rq->action);
    const char *agent = rq->header ? rq->header(rq, "user-agent") : NULL;
    const char *date = rq->header ? rq->header(rq, "x-amz-date") : NULL;
    json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s}", "account",
                             rq->caller_account, "op", op, "resource", resource_name, "before", before.digest, "after",
                             now.digest, "request_id", rq->request_id, "access_key_id", rq->access_key_id, "session",
                             rq->session_name, "at_ms", (json_int_t)sim_now_ms(), "repeat", (int)repeat, "agent",
                             agent ? agent : "", "signed", date ? date : "");
    if (!line)
        abort();
    if (repeat)
        repeats++;
    else
        effects++;
    if (out) {
        json_dumpf(line, out, JSON_COMPACT);
        (void)fputc('\n', out);
    }
    json_t *list = sim_map_get(&by_account, rq->caller_account);
    if (!list) {
        list = json_array();
        sim_map_put(&by_account, rq->caller_account, list);
    }
    json_array_append_new(list, line);
}

json_t *sim_effects_of(const char *account)
{
    return sim_map_get(&by_account, account);
}

void sim_effects_count(uint64_t *ret_effects, uint64_t *ret_repeats)
{
    *ret_effects = effects;
    *ret_repeats = repeats;
}
