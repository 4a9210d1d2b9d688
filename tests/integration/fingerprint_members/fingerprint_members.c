/* Reads {"op" or "op|argument": body} as a line of JSON, then lines {"op", "body"}: for each of them one answer is
 * exchanged, and the root of the fingerprint that comes out is printed. The first root is that of the base. With --ops:
 * the operations that a fingerprint asks; with --dropped: the table of what is left out. */
#include "tests/unit/worker/steps/fake_host.h"
#include "worker/runtime/snapshot_step.h"

#include <stdio.h>

static const struct {
    const char *op, *member, *why;
} dropped[] = {
#define DROPPED(op, member, why) {op, member, why},
#include "worker/steps/fingerprint_dropped.def"
#undef DROPPED
};

static void put_facts(json_t *world, const char *key, const char *body)
{
    AUTO_FREE char *name = mem_dup(key);
    char *bar = strchr(name, '|');
    if (bar)
        *bar = 0;
    const struct aws_op *op = aws_op_by_name(name);
    struct aws_reply reply = {.status = 200, .headers = "", .body = body, .body_bytes = strlen(body)};
    struct err err = {0};
    json_t *facts = op ? op->parse(&reply, &err) : NULL;
    if (!facts) {
        (void)fprintf(stderr, "%s: %s\n", key, op ? err.text : "no such operation");
        exit(1);
    }
    json_object_del(facts, "next");
    json_put(world, key, facts);
}

static void print_root(json_t *world)
{
    struct fake_host h = {.now_ms = 1800000000000ULL};
    h.world = json_incref(world);
    h.import = json_make("{s:s,s:i,s:{s:s}}", "id", "m", "created_ms", 0, "vars", "account_id", "111122223333");
    h.results = json_object();
    h.signals = json_object();
    fake_run(&h, &snapshot_step);
    (void)printf("%s\n", h.outcome == STEP_ENDED_DONE ? json_str_at(h.result, "fingerprint.root") : "failed");
    (void)fflush(stdout);
    fake_done(&h);
}

static json_t *next_line(void)
{
    static char *line;
    static size_t room;
    json_error_t why;
    if (getline(&line, &room, stdin) > 0)
        return json_loads(line, 0, &why);
    free(line);
    line = NULL;
    return NULL;
}

static int print_tables(const char *which)
{
    for (const struct aws_op *const *op = snapshot_step.ops; str_eq(which, "--ops") && *op; op++)
        (void)puts((*op)->name);
    for (size_t i = 0; str_eq(which, "--dropped") && i < ARRAY_LEN(dropped); i++)
        (void)printf("%s\t%s\t%s\n", dropped[i].op, dropped[i].member, dropped[i].why);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return print_tables(argv[1]);
    json_auto_t *base = next_line(), *world = json_object();
    const char *key = NULL;
    json_t *body = NULL;
    json_object_foreach (base, key, body)
        put_facts(world, key, json_string_value(body));
    print_root(world);
    for (json_t *line = next_line(); line; line = next_line()) {
        json_auto_t *changed = json_copy(world);
        put_facts(changed, json_str_at(line, "op"), json_str_at(line, "body"));
        print_root(changed);
        json_decref(line);
    }
    return 0;
}
