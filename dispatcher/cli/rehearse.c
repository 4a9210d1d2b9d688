/* orgimport rehearse IMPORT|FILE: what the import would do, played for real against a copy of the organization. An
 * IMPORT brings the fingerprint it took; for a FILE the organization is recorded first, by reads only (payer-record).
 * The live import is not touched; the outcome is stored beside it, to be compared with the real run. */
#include "dispatcher/cli/rehearse.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 150
#define WRITES_SHOWN 60

/* ---- From the fleet that has the import ---- */

static json_t *get_json(struct cli *cli, const char *path, struct err *err)
{
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, err) != 0)
        return NULL;
    if (reply.status == 200)
        return json_incref(reply.json);
    enum err_code code = err_code_by_name(json_str_at(reply.json, "code"));
    (void)err_set(err, code == ERR_NONE ? ERR_INTERNAL : code, "%s",
                  json_str_or(reply.json, "detail", json_str_or(reply.json, "title", "the dispatcher refuses")));
    return NULL;
}

static int fetch_seed(struct rehearsal *r, const char *id, char **ret_profile, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/rehearsal?seed=true", id);
    json_auto_t *whole = get_json(r->cli, path, err);
    if (!whole)
        return -1;
    r->seed = json_incref(json_object_get(whole, "seed"));
    json_put(r->seed, "digests", json_deep_copy(json_at(whole, "real.digests")));
    AUTO_FREE char *profile_path = mem_printf("/v1/profiles/%s", json_str_at(r->seed, "profile"));
    json_auto_t *profile = get_json(r->cli, profile_path, err);
    if (!profile)
        return -1;
    *ret_profile = json_text(profile);
    return 0;
}

static int store(struct rehearsal *r, const char *id, const json_t *outcome, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/rehearsal", id);
    AUTO_FREE char *text = json_text(outcome);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_send(r->cli, "PUT", path, "application/json", text, strlen(text), NULL, &reply, err) != 0)
        return -1;
    if (reply.status >= 300)
        return err_set(err, ERR_STATE_CONFLICT, "the outcome is not stored: %s", json_str_at(reply.json, "detail"));
    return 0;
}

/* ---- A file: the organization is recorded first ---- */

static json_t *record_request(const char *path, char **ret_ref, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, (size_t)1 << 20, &text, &len, err) != 0)
        return NULL;
    json_t *request = json_read(text, len, 32, err);
    if (request && (!json_is_object(request) || !*json_str_at(request, "external_ref"))) {
        (void)err_set(err, ERR_SYNTAX, "%s: a rehearsal takes one customer: a JSON object with an external_ref", path);
        json_decref(request);
        return NULL;
    }
    if (!request)
        return NULL;
    *ret_ref = mem_dup(json_str_at(request, "external_ref"));
    json_put(request, "external_ref", json_sprintf("%s.record", *ret_ref));
    json_put_str(request, "playbook", "payer-record");
    json_t *options = json_object_get(request, "options");
    if (!json_is_object(options)) {
        options = json_object();
        json_put(request, "options", options);
    }
    json_put_bool(options, "rerun", true);
    return request;
}

/* The same keys under the record's own name. */
static char *keys_for(const char *dir, const char *credentials, const char *ref, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(credentials, (size_t)1 << 20, &text, &len, err) != 0)
        return NULL;
    AUTO_FREE char *head = mem_printf("[%s]", ref);
    const char *at = strstr(text, head);
    char *path = mem_printf("%s/keys.ini", dir);
    AUTO_FREE char *renamed =
        at ? mem_printf("%.*s[%s.record]%s", (int)(at - text), text, ref, at + strlen(head)) : mem_dup(text);
    if (file_write(path, renamed, strlen(renamed), 0600, err) == 0)
        return path;
    mem_free(path);
    return NULL;
}

static int wait_for_record(struct cli *cli, const char *id, uint64_t timeout_ms, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", id);
    for (uint64_t end = cli_now_ms() + timeout_ms;; cli_pause_ms(POLL_MS)) {
        json_auto_t *import = get_json(cli, path, err);
        if (!import)
            return -1;
        const char *state = json_str_at(import, "state");
        if (str_eq(state, "completed"))
            return 0;
        if (str_in_list("failed,cancelled,held", state))
            return err_set(err, ERR_STATE_CONFLICT, "the organization cannot be recorded: %s (%s)",
                           json_str_at(import, "error.text"), json_str_at(import, "error.code"));
        if (cli_now_ms() > end)
            return err_set(err, ERR_WAIT_EXPIRED, "the record waits for the %s: \"%s\"; `orgimport tasks --import %s`",
                           json_str_at(import, "blocking.party"), json_str_at(import, "blocking.title"), id);
    }
}

static int record(struct rehearsal *r, const char *file, const char *credentials, char ret_id[64], struct err *err)
{
    char dir[] = "/tmp/orgimport-record.XXXXXX";
    AUTO_FREE char *ref = NULL;
    json_auto_t *request = record_request(file, &ref, err);
    if (!request)
        return -1;
    if (!mkdtemp(dir))
        return err_set(err, ERR_IO, "%s cannot be made", dir);
    AUTO_FREE char *path = mem_printf("%s/request.json", dir);
    AUTO_FREE char *text = json_text(request);
    AUTO_FREE char *keys = credentials ? keys_for(dir, credentials, ref, err) : NULL;
    int result = (credentials && !keys) || file_write(path, text, strlen(text), 0600, err) != 0 ? -1 : 0;
    if (result == 0 && cli_import_file(r->cli, &(struct cli_file){.path = path, .credentials = keys, .is_quiet = true},
                                       NULL) != EXIT_OK)
        result = err_set(err, ERR_STATE_CONFLICT, "the request was not taken, see above");
    (void)unlink(path);
    if (keys)
        (void)unlink(keys);
    (void)rmdir(dir);
    if (result != 0)
        return -1;
    if (!cli_import_id(r->cli, json_str_at(request, "external_ref"), ret_id))
        return err_set(err, ERR_NOT_FOUND, "the record is not there");
    return wait_for_record(r->cli, ret_id, r->timeout_ms, err);
}

/* ---- Printing ---- */

static void print_list(const char *title, const json_t *list)
{
    if (!json_array_size(list))
        return;
    printf("%s", title);
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("%s%s", i ? ", " : "", json_string_value(json_array_get(list, i)));
    puts("");
}

static void print_end(const json_t *end)
{
    const char *state = json_str_at(end, "state"), *verdict = json_str_at(end, "verdict");
    if (str_eq(state, "completed"))
        printf("predicted end: completed, %s\n", *verdict ? verdict : "no verdict");
    else if (*json_str_at(end, "step"))
        printf("predicted end: %s at %s with %s\n", state, json_str_at(end, "step"), json_str_at(end, "code"));
    else
        printf("predicted end: %s\n", state);
    print_list("  findings: ", json_at(end, "findings"));
}

static void print_outcome(const char *word, const json_t *p)
{
    const json_t *writes = json_at(p, "writes"), *differ = json_at(p, "fidelity.differ");
    printf("rehearsal of %s, on a simulated copy", word);
    if (!*json_str_at(p, "root"))
        puts(" (it ended before a fingerprint was taken)");
    else if (!json_array_size(differ))
        printf(" that reads back with the same fingerprint, %.12s..\n", json_str_at(p, "root"));
    else
        print_list(" that differs from the record in: ", differ);
    printf("%zu writes:\n", json_array_size(writes));
    for (size_t i = 0; i < json_array_size(writes) && i < WRITES_SHOWN; i++) {
        const json_t *one = json_array_get(writes, i);
        printf("  %-18s %-34s %s\n", json_str_at(one, "step"), json_str_at(one, "op"), json_str_at(one, "key"));
    }
    print_list("people are asked at: ", json_at(p, "tasks"));
    printf("%lld reads, %lld writes; at 100 ms a call the machine needs about %lld s, people not counted\n",
           (long long)json_int_at(p, "calls.reads"), (long long)json_int_at(p, "calls.writes"),
           (long long)(json_int_at(p, "critical_path_ms") + 999) / 1000);
    print_end(json_at(p, "end"));
}

/* ---- The verb ---- */

static int finish(struct rehearsal *r, const char *word, const char *id, bool wants_json)
{
    struct err err = {0};
    AUTO_FREE char *profile = NULL;
    json_auto_t *outcome = NULL;
    int result = fetch_seed(r, id, &profile, &err);
    if (result == 0)
        result = rehearsal_play(r, profile, &outcome, &err);
    rehearsal_end(r);
    json_decref(r->seed);
    if (result != 0 || store(r, id, outcome, &err) != 0)
        return cli_error(r->cli, &err);
    if (wants_json || cli_is_json(r->cli))
        cli_print_value(r->cli, outcome);
    else
        print_outcome(word, outcome);
    return str_eq(json_str_at(outcome, "end.state"), "completed") ? EXIT_OK : EXIT_NOT_READY;
}

int cli_verb_rehearse(struct cli *cli)
{
    const char *words[1], *credentials = NULL, *latency = "5", *timeout = "300";
    bool wants_json = false;
    size_t count = 0;
    char id[64];
    struct err err = {0};
    struct rehearsal r = {.cli = cli};
    const struct cli_flag flags[] = {{"credentials", &credentials, NULL},
                                     {"json", NULL, &wants_json},
                                     {"latency-ms", &latency, NULL},
                                     {"timeout-s", &timeout, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    if (!count || !cli_number(latency, 10000, &r.latency_ms) || !cli_number(timeout, 86400, &r.timeout_ms))
        return cli_usage(cli, "rehearse needs an IMPORT (id or external_ref) or a FILE with one customer");
    r.timeout_ms *= 1000;
    struct stat st;
    bool is_file = stat(words[0], &st) == 0 && S_ISREG(st.st_mode);
    if (cli_connect(cli, &err) != 0 || (is_file && record(&r, words[0], credentials, id, &err) != 0))
        return cli_error(cli, &err);
    if (!is_file && !cli_import_id(cli, words[0], id))
        return EXIT_ERROR;
    return finish(&r, words[0], id, wants_json);
}
