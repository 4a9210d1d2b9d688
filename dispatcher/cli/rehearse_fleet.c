/* The private fleet of a rehearsal: a fresh folder, a simulated AWS made from the record, one dispatcher, one worker,
 * closed endpoints (P11), the same names for the organization; then the request again. Nothing of it outlives the verb.
 */
#include "dispatcher/cli/rehearse.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STUCK_MS 15000 /* nothing moves: only a person whom nobody plays could go on */
#define POLL_MS 100

void rehearsal_end(struct rehearsal *r)
{
    struct err ignored;
    if (!r->fleet.dir[0])
        return;
    if (local_stop(&r->fleet, &ignored) != 0)
        (void)fprintf(stderr, "orgimport: %s\n", ignored.text);
    local_remove(&r->fleet);
    r->fleet.dir[0] = 0;
}

static int write_json(const struct rehearsal *r, const char *name, const json_t *value, struct err *err)
{
    AUTO_FREE char *path = mem_printf("%s/%s", r->fleet.dir, name);
    AUTO_FREE char *text = json_text(value);
    return file_write(path, text, strlen(text), 0600, err);
}

static int make_folder(struct rehearsal *r, struct err *err)
{
    const char *base = getenv("TMPDIR");
    char dir[512];
    (void)snprintf(dir, sizeof dir, "%s/orgimport-rehearsal.XXXXXX",
                   base && *base == '/' && strlen(base) < 50 ? base : "/tmp");
    if (!mkdtemp(dir))
        return err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
    local_fleet_init(&r->fleet, dir);
    r->fleet.is_simulated = true;
    r->fleet.poll_ms = 250;
    r->fleet.settle_ms = 4000;
    return 0;
}

static int start_world(struct rehearsal *r, struct err *err)
{
    const char *dir = r->fleet.dir;
    char *words[] = {
        mem_printf("%s/orgimport-awssim", r->fleet.bin),
        mem_dup("--listen=127.0.0.1:0"),
        mem_printf("--address-file=%s/awssim.address", dir),
        mem_printf("--recorded=%s/record.json", dir),
        mem_printf("--latency-ms=%llu", (unsigned long long)r->latency_ms),
        mem_printf("--effects=%s/effects.jsonl", dir),
        mem_printf("--credentials=%s/credentials.ini", dir),
        mem_printf("--operator-credentials=%s/operator.ini", dir),
        mem_printf("--people=%s", r->stage.url),
        mem_printf("--people-token-file=%s/token", dir),
        mem_dup("--people-delay-ms=100"),
        NULL,
    };
    int result = local_spawn(&r->fleet, "awssim", words, err);
    for (size_t i = 0; words[i]; i++)
        mem_free(words[i]);
    char address[96];
    if (result != 0 || local_wait_file(&r->fleet, "awssim.address", address, sizeof address, 20000, err) != 0)
        return -1;
    (void)snprintf(r->fleet.endpoint, sizeof r->fleet.endpoint, "%s%s", str_starts(address, "http") ? "" : "http://",
                   address);
    (void)snprintf(r->fleet.credentials, sizeof r->fleet.credentials, "%s/operator.ini", dir);
    return 0;
}

/* ---- The organization keeps its names: else the documents of the roles would differ from the real ones ---- */

static int talk_to_redis(const struct rehearsal *r, const char *command, size_t len)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char answer[64] = "";
    if (snprintf(to.sun_path, sizeof to.sun_path, "%s/redis.sock", r->fleet.dir) >= (int)sizeof to.sun_path)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval wait = {.tv_sec = 5};
    bool is_done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
                   connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, command, len) == (ssize_t)len &&
                   read(fd, answer, sizeof answer - 1) > 0 && answer[0] == ':';
    if (fd >= 0)
        (void)close(fd);
    return is_done ? 0 : -1;
}

static void add_word(struct str *out, const char *word)
{
    str_addf(out, "$%zu\r\n", strlen(word));
    str_add(out, word);
    str_add(out, "\r\n");
}

static int keep_names(const struct rehearsal *r, struct err *err)
{
    const json_t *org = json_at(r->seed, "org");
    json_auto_t *kept =
        json_make("{s:s, s:s, s:s}", "id", json_str_at(org, "id"), "external_id", json_str_at(org, "external_id"),
                  "external_id_bootstrap", json_str_at(org, "external_id_bootstrap"));
    AUTO_FREE char *text = json_text(kept);
    AUTO_STR struct str command;
    str_init(&command, 8192);
    str_add(&command, "*4\r\n");
    add_word(&command, "HSET");
    add_word(&command, "f:{g}:orgs");
    add_word(&command, json_str_at(org, "account_key"));
    add_word(&command, text);
    if (talk_to_redis(r, command.data, command.len) != 0)
        return err_set(err, ERR_REDIS, "the rehearsal's own Redis does not answer");
    return 0;
}

/* ---- Until it ends ---- */

static bool is_over(const json_t *import)
{
    return str_in_list("completed,failed,held,cancelled", json_str_at(import, "state"));
}

static int wait_for_end(struct rehearsal *r, char ret_id[64], struct err *err)
{
    uint64_t end = cli_now_ms() + r->timeout_ms, moved = cli_now_ms();
    int64_t version = -1;
    if (!cli_import_id(&r->stage, json_str_at(r->seed, "request.external_ref"), ret_id))
        return err_set(err, ERR_NOT_FOUND, "the rehearsal's own fleet did not take the import");
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", ret_id);
    for (;; cli_pause_ms(POLL_MS)) {
        AUTO_REPLY struct cli_reply reply = {0};
        if (cli_get(&r->stage, path, &reply, err) != 0)
            return -1;
        if (reply.status == 200 && is_over(reply.json))
            return 0;
        if (json_int_at(reply.json, "version") != version)
            moved = cli_now_ms();
        version = json_int_at(reply.json, "version");
        if (cli_now_ms() > end || cli_now_ms() - moved > STUCK_MS)
            return 0; /* its end is that it waits */
        if (!local_is_running(&r->fleet))
            return err_set(err, ERR_INTERNAL, "something of the rehearsal's fleet died");
    }
}

/* ---- What came of it ---- */

static json_t *read_effects(const struct rehearsal *r)
{
    json_t *list = json_array();
    AUTO_FREE char *path = mem_printf("%s/effects.jsonl", r->fleet.dir);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    struct err ignored;
    if (file_read(path, (size_t)64 << 20, &text, &len, &ignored) != 0)
        return list;
    for (char *line = text, *end; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        json_auto_t *effect = json_read(line, end ? (size_t)(end - line) : strlen(line), 0, &ignored);
        if (json_is_object(effect) && !json_bool_at(effect, "repeat"))
            (void)json_array_append_new(list, json_make("{s:s, s:s}", "op", json_str_at(effect, "op"), "resource",
                                                        json_str_at(effect, "resource")));
    }
    return list;
}

/* Whether the simulated copy reads like the recorded organization, section by section. */
static json_t *fidelity(const struct rehearsal *r, const json_t *summary)
{
    const json_t *was = json_at(r->seed, "digests"), *is = json_at(summary, "digests");
    json_t *differ = json_array(), *digest = NULL;
    const char *name = NULL, *root = json_str_at(summary, "root");
    if (*root)
        json_object_foreach ((json_t *)(uintptr_t)was, name, digest)
            if (!json_equal(digest, json_object_get(is, name)))
                (void)json_array_append_new(differ, json_string(name));
    json_sort_by(differ, NULL);
    return json_make("{s:s, s:s, s:o}", "recorded", json_str_at(r->seed, "root"), "rehearsed", root, "differ", differ);
}

static int collect(struct rehearsal *r, const char *id, json_t **ret, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/rehearsal", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(&r->stage, path, &reply, err) != 0)
        return -1;
    const json_t *real = json_at(reply.json, "real");
    if (reply.status != 200 || !json_is_object(real))
        return err_set(err, ERR_INTERNAL, "the rehearsal's own fleet cannot tell what came");
    json_t *summary = json_deep_copy(real);
    json_put(summary, "effects", read_effects(r));
    json_put(summary, "fidelity", fidelity(r, summary));
    json_put_int(summary, "made_at", (int64_t)cli_now_ms());
    *ret = summary;
    return 0;
}

static int submit(struct rehearsal *r, struct err *err)
{
    AUTO_FREE char *request = mem_printf("%s/request.json", r->fleet.dir);
    AUTO_FREE char *keys = mem_printf("%s/credentials.ini", r->fleet.dir);
    bool has_key = str_eq(json_str_at(r->seed, "request.access.method"), "sealed_key");
    struct cli_file file = {.path = request, .credentials = has_key ? keys : NULL, .is_quiet = true};
    if (cli_import_file(&r->stage, &file, NULL) != EXIT_OK)
        return err_set(err, ERR_INTERNAL, "the rehearsal's own fleet refuses the request");
    return 0;
}

int rehearsal_play(struct rehearsal *r, const char *profile_json, json_t **ret, struct err *err)
{
    char id[64];
    r->stage = *r->cli;
    if (make_folder(r, err) != 0 || local_prepare(&r->stage, &r->fleet, err) != 0)
        return -1;
    (void)snprintf(r->fleet.profile, sizeof r->fleet.profile, "%s/profile.json", r->fleet.dir);
    if (file_write(r->fleet.profile, profile_json, strlen(profile_json), 0600, err) != 0 ||
        write_json(r, "record.json", json_at(r->seed, "record"), err) != 0 ||
        write_json(r, "request.json", json_at(r->seed, "request"), err) != 0)
        return -1;
    if (start_world(r, err) != 0 || local_start(&r->fleet, err) != 0 || local_adopt(&r->stage, &r->fleet, err) != 0 ||
        keep_names(r, err) != 0 || submit(r, err) != 0 || wait_for_end(r, id, err) != 0)
        return -1;
    return collect(r, id, ret, err);
}
