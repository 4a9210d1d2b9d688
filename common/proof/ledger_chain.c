/* Reading chains of ledger lines; see ledger_chain.h for their form. */
#include "common/proof/ledger_chain.h"

#include "common/base/mem.h"
#include "common/proof/merkle.h"

void ledger_line_hash(const json_t *line, char ret[65])
{
    json_auto_t *bare = json_copy((json_t *)(uintptr_t)line);
    (void)json_object_del(bare, "hash");
    json_digest(bare, ret);
}

static void problem(json_t *problems, const json_t *line, const char *what)
{
    if (!problems)
        return;
    const char *step = json_str_at(line, "step");
    (void)json_array_append_new(problems, json_sprintf("line %lld of %s %s", (long long)json_int_at(line, "n"),
                                                       *step ? step : "the decisions", what));
}

/* A rollback line must tell the truth as far as it can be seen: it stands where it says that the chain was cut. */
static bool is_honest_rollback(const json_t *line)
{
    return json_int_at(line, "result.kept_n") == json_int_at(line, "n") - 1 &&
           str_eq(json_str_at(line, "result.kept_hash"), json_str_at(line, "prev")) &&
           json_int_at(line, "result.lost_n") > json_int_at(line, "result.kept_n") &&
           strlen(json_str_at(line, "result.lost_hash")) == 64;
}

/* `head` is NULL for the first line of a chain. */
static void check_line(const json_t *line, const json_t *head, json_t *problems)
{
    char hash[65];
    ledger_line_hash(line, hash);
    if (!str_eq(hash, json_str_at(line, "hash")))
        problem(problems, line, "does not match its hash");
    if (json_int_at(line, "n") != json_int_at(head, "n") + 1 ||
        !str_eq(json_str_at(line, "prev"), json_str_at(head, "hash")))
        problem(problems, line, "does not follow the line before");
    const char *fence = json_str_at(line, "fence"), *before = json_str_at(head, "fence");
    if (strlen(fence) == strlen(before) && strcmp(fence, before) < 0)
        problem(problems, line, "has an older fence than the line before");
    if (str_eq(json_str_at(line, "kind"), "rollback") && !is_honest_rollback(line))
        problem(problems, line, "is a rollback that does not fit its place");
}

static json_t *head_of(const json_t *line)
{
    return json_make("{s:I,s:s,s:s}", "n", (json_int_t)json_int_at(line, "n"), "hash", json_str_at(line, "hash"),
                     "fence", json_str_at(line, "fence"));
}

static void drop_fences(json_t *heads)
{
    const char *name = NULL;
    json_t *head = NULL;
    json_object_foreach (heads, name, head)
        (void)json_object_del(head, "fence");
}

json_t *ledger_heads(const json_t *lines, json_t *ret_problems)
{
    json_t *heads = json_object(), *line = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
        if (!json_is_object(line) || !json_is_string(json_object_get(line, "step"))) {
            problem(ret_problems, line, "cannot be read");
            continue;
        }
        const char *step = json_str_at(line, "step");
        check_line(line, json_object_get(heads, step), ret_problems);
        json_put(heads, step, head_of(line));
    }
    drop_fences(heads);
    return heads;
}

json_t *ledger_heads_at(const json_t *lines, const json_t *counts)
{
    json_t *heads = json_object(), *line = NULL, *count = NULL;
    size_t i = 0;
    const char *name = NULL;
    json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
        const char *step = json_str_at(line, "step");
        const json_t *n = json_object_get(counts, step);
        if (json_is_integer(n) && json_integer_value(n) == json_int_at(line, "n"))
            json_put(heads, step, head_of(line));
    }
    drop_fences(heads);
    json_object_foreach ((json_t *)(uintptr_t)counts, name, count) {
        if (json_object_get(heads, name))
            continue;
        json_decref(heads);
        return NULL;
    }
    return heads;
}

json_t *ledger_counts(const json_t *heads)
{
    json_t *counts = json_object(), *head = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)heads, name, head)
        json_put_int(counts, name, json_int_at(head, "n"));
    return counts;
}

void ledger_root(const json_t *heads, char ret[65])
{
    json_auto_t *names = json_array(), *leaves = json_array();
    const char *name = NULL;
    json_t *head = NULL, *one = NULL;
    size_t i = 0;
    json_object_foreach ((json_t *)(uintptr_t)heads, name, head)
        (void)json_array_append_new(names, json_string(name));
    json_sort_by(names, NULL);
    json_array_foreach (names, i, one) {
        head = json_object_get(heads, json_string_value(one));
        merkle_add(leaves,
                   json_make("[s,O,I,s]", "leaf", one, (json_int_t)json_int_at(head, "n"), json_str_at(head, "hash")));
    }
    merkle_root(leaves, ret);
}
