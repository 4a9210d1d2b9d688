#include "worker/runtime/ledger.h"

#include "common/base/mem.h"

#include <string.h>

#define FACTS_BYTES_MAX 1024
#define ARGUMENTS_BYTES_MAX 8192 /* a policy fits: a reviewer reads what was written, not its digest */

void ledger_add(struct journal *j, const struct ledger_who *who, json_t *line, struct str *out)
{
    int64_t n = json_int_at(j->root, "seq") + 1;
    char hash[65];
    json_put_int(line, "n", n);
    json_put_str(line, "step", who->step);
    json_put_int(line, "at_ms", (int64_t)who->at_ms);
    json_put_str(line, "fence", who->fence);
    json_put_str(line, "nonce", who->nonce);
    json_put_str(line, "prev", json_str_at(j->root, "head"));
    json_digest(line, hash);
    json_put_str(line, "hash", hash);
    AUTO_FREE char *text = json_text(line);
    str_add(out, text);
    str_add_char(out, '\n');
    json_put_int(j->root, "seq", n);
    json_put_str(j->root, "head", hash);
    j->is_dirty = true;
    json_decref(line);
}

static json_t *whole_or_digest(const json_t *facts, size_t bytes_max)
{
    if (!facts)
        return json_null();
    AUTO_FREE char *text = json_text(facts);
    if (strlen(text) <= bytes_max)
        return json_deep_copy(facts);
    char digest[65];
    json_digest(facts, digest);
    return json_make("{s:s, s:I}", "digest", digest, "bytes", (json_int_t)strlen(text));
}

json_t *ledger_facts(const json_t *facts)
{
    return whole_or_digest(facts, FACTS_BYTES_MAX);
}

json_t *ledger_arguments(const json_t *args)
{
    return whole_or_digest(args, ARGUMENTS_BYTES_MAX);
}
