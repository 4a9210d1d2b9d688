#include "common/proof/run_figures.h"

#include "common/base/mem.h"

#include <string.h>

bool run_line_is_write(const json_t *line)
{
    return str_eq(json_str_at(line, "kind"), "answer") && !str_starts(json_str_at(line, "op"), "runtime:") &&
           !str_starts(json_str_at(line, "key"), "undo/");
}

size_t run_key_len(const char *key)
{
    const char *slash = strrchr(key, '/');
    bool is_digest = slash && strlen(slash + 1) == 8 && strspn(slash + 1, "0123456789abcdef") == 8;
    return is_digest ? (size_t)(slash - key) : strlen(key);
}

static int64_t reads_of(const json_t *line)
{
    int64_t sum = 0;
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(line, "result"), i, one)
        if (!str_starts(json_str_at(one, "op"), "runtime:") && json_int_at(one, "count") > 0)
            sum += json_int_at(one, "count");
    return sum;
}

json_t *run_figures(const json_t *lines)
{
    json_t *writes = json_array(), *line = NULL;
    int64_t reads = 0, failures = 0, first_ms = 0, last_ms = 0;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
        const char *kind = json_str_at(line, "kind");
        int64_t at = json_int_at(line, "at_ms");
        if (json_bool_at(line, "undo") || !*json_str_at(line, "step")) /* a decision may come years later */
            continue;
        first_ms = !first_ms || at < first_ms ? at : first_ms;
        last_ms = at > last_ms ? at : last_ms;
        if (run_line_is_write(line)) {
            const char *key = json_str_at(line, "key");
            AUTO_FREE char *name = mem_printf("%s %s %.*s", json_str_at(line, "step"), json_str_at(line, "op"),
                                              (int)run_key_len(key), key);
            json_t *text = json_string(name);
            (void)json_array_append_new(writes, text ? text : json_string("not UTF-8"));
        }
        reads += str_eq(kind, "reads") ? reads_of(line) : 0;
        failures += str_eq(kind, "outcome") && str_in_list("R,F", json_str_at(line, "result.outcome"));
    }
    json_sort_by(writes, NULL);
    return json_make("{s:I,s:o,s:I,s:I}", "reads", (json_int_t)reads, "writes", writes, "failures",
                     (json_int_t)failures, "ms", (json_int_t)(last_ms - first_ms));
}
