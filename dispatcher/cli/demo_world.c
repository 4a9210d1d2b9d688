#include "dispatcher/cli/demo.h"

#include "common/base/mem.h"
#include "common/codec/csv.h"
#include "common/codec/file.h"

#include <string.h>
#include <unistd.h>

static int read_worlds(struct demo *d, struct err *err)
{
    AUTO_FREE char *path = mem_printf("%s/worlds.json", d->fleet.dir);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, (size_t)64 << 20, &text, &len, err) != 0)
        return -1;
    json_auto_t *list = json_read(text, len, 0, err);
    if (!list)
        return -1;
    json_decref(d->worlds);
    d->worlds = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *world = json_array_get(list, i);
        const char *ref = json_str_at(world, "external_ref");
        if (*ref)
            json_put(d->worlds, ref, json_incref(world));
    }
    return 0;
}

int demo_world_start(struct demo *d, struct err *err)
{
    const char *dir = d->fleet.dir;
    char *words[] = {
        mem_printf("%s/orgimport-awssim", d->fleet.bin),
        mem_printf("--listen=127.0.0.1:0"),
        mem_printf("--address-file=%s/awssim.address", dir),
        mem_printf("--orgs=%llu", (unsigned long long)d->orgs),
        mem_printf("--seed=%llu", (unsigned long long)d->seed),
        mem_printf("--kinds=%s", d->kinds),
        mem_printf("--faults=%s", d->faults),
        mem_printf("--latency-ms=%llu", (unsigned long long)d->latency_ms),
        mem_printf("--effects=%s/effects.jsonl", dir),
        mem_printf("--customers=%s/customers.csv", dir),
        mem_printf("--credentials=%s/credentials.ini", dir),
        mem_printf("--operator-credentials=%s/operator.ini", dir),
        mem_printf("--worlds=%s/worlds.json", dir),
        mem_printf("--people=%s", d->cli->url),
        mem_printf("--people-token-file=%s/token", dir),
        mem_printf("--people-delay-ms=%llu", (unsigned long long)d->people_delay_ms),
        NULL,
    };
    int result = local_spawn(&d->fleet, "awssim", words, err);
    for (size_t i = 0; words[i]; i++)
        mem_free(words[i]);
    char address[96];
    if (result != 0 || local_wait_file(&d->fleet, "awssim.address", address, sizeof address, 20000, err) != 0)
        return -1;
    (void)snprintf(d->endpoint, sizeof d->endpoint, "%s%s", str_starts(address, "http") ? "" : "http://", address);
    (void)snprintf(d->fleet.endpoint, sizeof d->fleet.endpoint, "%s", d->endpoint);
    (void)snprintf(d->fleet.credentials, sizeof d->fleet.credentials, "%s/operator.ini", dir);
    return read_worlds(d, err);
}

bool demo_world_is_running(const struct demo *d)
{
    return local_pid(&d->fleet, "awssim") != 0;
}

json_t *demo_world_get(struct demo *d, const char *path)
{
    struct cli sim = *d->cli; /* the same talk, another address, and our token stays with our dispatcher */
    (void)snprintf(sim.url, sizeof sim.url, "%s", d->endpoint);
    sim.token[0] = 0;
    struct err ignored;
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(&sim, path, &reply, &ignored) != 0 || reply.status != 200)
        return NULL;
    return json_incref(reply.json);
}

json_t *demo_effects_twice(struct demo *d, size_t *ret_count)
{
    json_t *twice = json_array();
    json_auto_t *seen = json_object();
    AUTO_FREE char *path = mem_printf("%s/effects.jsonl", d->fleet.dir);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    struct err ignored;
    *ret_count = 0;
    if (file_read(path, (size_t)1 << 30, &text, &len, &ignored) != 0)
        return twice;
    for (char *line = text, *end; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        json_auto_t *effect = json_read(line, end ? (size_t)(end - line) : strlen(line), 0, &ignored);
        if (!json_is_object(effect) || json_bool_at(effect, "repeat"))
            continue;
        ++*ret_count;
        AUTO_FREE char *key =
            mem_printf("%s %s %s %s %s", json_str_at(effect, "account"), json_str_at(effect, "op"),
                       json_str_at(effect, "resource"), json_str_at(effect, "before"), json_str_at(effect, "after"));
        if (json_object_get(seen, key))
            (void)json_array_append_new(twice,
                                        json_sprintf("%s %s %s", json_str_at(effect, "account"),
                                                     json_str_at(effect, "op"), json_str_at(effect, "resource")));
        json_put_bool(seen, key, true);
    }
    return twice;
}

static bool is_completed(const struct demo *d, const char *external_ref)
{
    for (size_t i = 0; i < json_array_size(d->imports); i++) {
        const json_t *one = json_array_get(d->imports, i);
        if (str_eq(json_str_at(one, "external_ref"), external_ref))
            return str_eq(json_str_at(one, "state"), "completed");
    }
    return false;
}

static void add_cell(struct str *out, const char *text, bool is_last)
{
    str_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            str_add_char(out, '"');
        str_add_char(out, *text);
    }
    str_add(out, is_last ? "\"\n" : "\",");
}

static void add_row(struct str *out, const struct csv_row *header, const struct csv_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        const char *name = i < header->count ? header->fields[i] : "";
        AUTO_FREE char *again = mem_printf("%s-again", row->fields[i]);
        const char *cell = str_eq(name, "external_ref")    ? again
                           : str_eq(name, "access.method") ? "role"
                                                           : row->fields[i];
        add_cell(out, cell, i + 1 == row->count);
    }
}

int demo_write_second(struct demo *d, const char *path, size_t *ret_rows, struct err *err)
{
    AUTO_FREE char *from = mem_printf("%s/customers.csv", d->fleet.dir);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    struct csv csv;
    *ret_rows = 0;
    if (file_read(from, (size_t)64 << 20, &text, &len, err) != 0 || csv_read(text, len, &csv, err) != 0)
        return -1;
    AUTO_STR struct str out;
    str_init(&out, (size_t)64 << 20);
    for (size_t i = 0; csv.count && i < csv.rows[0].count; i++)
        add_cell(&out, csv.rows[0].fields[i], i + 1 == csv.rows[0].count);
    for (size_t i = 1; i < csv.count; i++)
        for (size_t c = 0; c < csv.rows[i].count; c++)
            if (str_eq(csv.rows[0].fields[c], "external_ref") && is_completed(d, csv.rows[i].fields[c])) {
                add_row(&out, &csv.rows[0], &csv.rows[i]);
                ++*ret_rows;
            }
    csv_done(&csv);
    return file_write(path, out.data, out.len, 0600, err);
}
