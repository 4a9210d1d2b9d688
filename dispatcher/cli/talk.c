/* HTTP to the dispatcher, one request at a time: a command line waits anyway. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/uri.h"
#include "dispatcher/cli/local.h"

#include <curl/curl.h>
#include <string.h>

#define REPLY_BYTES_MAX ((size_t)256 << 20)

void cli_reply_done(struct cli_reply *r)
{
    json_decref(r->json);
    *r = (struct cli_reply){0};
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct str *out = arg;
    str_add_bytes(out, bytes, size * count);
    return out->is_over ? 0 : size * count;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    AUTO_FREE char *line = mem_printf("%s: %s", name, value);
    return curl_slist_append(list, line);
}

int cli_send(struct cli *cli, const char *method, const char *path, const char *type, const char *body, size_t len,
             const char *idempotency_key, struct cli_reply *ret, struct err *err)
{
    static CURL *curl; /* one connection, kept */
    if (!curl && !(curl = curl_easy_init()))
        return err_set(err, ERR_INTERNAL, "no HTTP client");
    curl_easy_reset(curl);
    AUTO_FREE char *url = mem_printf("%s%s", cli->url, path);
    AUTO_STR struct str out;
    str_init(&out, REPLY_BYTES_MAX);
    AUTO_FREE char *bearer = mem_printf("Bearer %s", cli->token);
    struct curl_slist *headers = add_header(NULL, "Authorization", bearer);
    headers = add_header(headers, "Expect", "");
    if (body)
        headers = add_header(headers, "Content-Type", type);
    if (idempotency_key)
        headers = add_header(headers, "Idempotency-Key", idempotency_key);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 120000L);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return err_set(err, ERR_IO, "%s: %s", cli->url, curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    struct err ignored;
    *ret =
        (struct cli_reply){.status = (int)status, .json = out.len ? json_read(out.data, out.len, 0, &ignored) : NULL};
    return 0;
}

void cli_add_query(struct str *path, const char *name, const char *value)
{
    if (!value)
        return;
    str_addf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', name);
    uri_encode(path, value, strlen(value), false);
}

int cli_get(struct cli *cli, const char *path, struct cli_reply *ret, struct err *err)
{
    return cli_send(cli, "GET", path, NULL, NULL, 0, NULL, ret, err);
}

int cli_post(struct cli *cli, const char *path, const json_t *body, struct cli_reply *ret, struct err *err)
{
    AUTO_FREE char *text = body ? json_text(body) : mem_dup("{}");
    return cli_send(cli, "POST", path, "application/json", text, strlen(text), NULL, ret, err);
}

static int read_token(struct cli *cli, const char *path, struct err *err)
{
    AUTO_FREE char *text = NULL;
    if (file_read(path, sizeof cli->token - 1, &text, NULL, err) != 0)
        return err_wrap(err, "token");
    text[strcspn(text, "\r\n")] = 0;
    memcpy(cli->token, text, strlen(text) + 1);
    return 0;
}

int cli_connect(struct cli *cli, struct err *err)
{
    const char *url = config_text(cli->config, CONFIG_URL), *token_file = config_text(cli->config, CONFIG_TOKEN_FILE);
    if (!*url)
        return local_connect(cli, err);
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    if (n >= sizeof cli->url)
        return err_set(err, ERR_CONFIG, "--url is too long");
    memcpy(cli->url, url, n);
    cli->url[n] = 0;
    if (!*token_file)
        return err_set(err, ERR_CONFIG, "--url needs --token-file");
    return read_token(cli, token_file, err);
}

int cli_error(const struct cli *cli, const struct err *err)
{
    (void)cli;
    (void)fprintf(stderr, "orgimport: %s\n  fix: %s (%s)\n", err->text, err_info(err->code)->fix,
                  err_info(err->code)->name);
    if (err->code == ERR_NO_FLEET)
        return EXIT_NOT_READY;
    return err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_USAGE : EXIT_ERROR;
}

static void print_fault(const json_t *fault)
{
    const char *where = json_str_at(fault, "pointer");
    if (!*where)
        where = json_str_at(fault, "field");
    (void)fprintf(stderr, "  ");
    if (json_has(fault, "line"))
        (void)fprintf(stderr, "line %d ", (int)json_int_at(fault, "line"));
    (void)fprintf(stderr, "%s: %s [%s]\n", where, json_str_at(fault, "detail"), json_str_at(fault, "code"));
}

int cli_problem(const struct cli *cli, const struct cli_reply *reply)
{
    const json_t *p = reply->json;
    if (cli_is_json(cli) && p) {
        cli_print_value(cli, p);
    } else {
        (void)fprintf(stderr, "orgimport: %s: %s\n", json_str_or(p, "title", "the dispatcher refused"),
                      json_str_or(p, "detail", ""));
        const json_t *errors = json_at(p, "errors");
        for (size_t i = 0; i < json_array_size(errors); i++)
            print_fault(json_array_get(errors, i));
        if (*json_str_at(p, "fix"))
            (void)fprintf(stderr, "  fix: %s (%s, %s)\n", json_str_at(p, "fix"), json_str_at(p, "code"),
                          json_str_at(p, "owner"));
    }
    return reply->status == 422 || reply->status == 400 ? EXIT_NOT_READY : EXIT_ERROR;
}

json_t *cli_list(struct cli *cli, const char *path, struct err *err)
{
    json_t *all = json_array();
    AUTO_FREE char *after = mem_dup("");
    for (int page = 0; page < 10000; page++) {
        AUTO_FREE char *full = mem_printf("%s%climit=200%s%s", path, strchr(path, '?') ? '&' : '?',
                                          *after ? "&starting_after=" : "", after);
        AUTO_REPLY struct cli_reply reply = {0};
        if (cli_get(cli, full, &reply, err) != 0 || reply.status != 200) {
            if (reply.status)
                err_set(err, ERR_STATE_CONFLICT, "%s", json_str_or(reply.json, "detail", "the dispatcher refused"));
            json_decref(all);
            return NULL;
        }
        json_t *data = json_object_get(reply.json, "data");
        (void)json_array_extend(all, data);
        const char *next = json_str_at(reply.json, "next");
        if (!json_bool_at(reply.json, "has_more") || !*next)
            break;
        AUTO_STR struct str encoded;
        str_init(&encoded, 4096);
        uri_encode(&encoded, next, strlen(next), false);
        mem_free(after);
        after = mem_dup(encoded.data);
    }
    return all;
}

bool cli_import_id(struct cli *cli, const char *word, char ret[64])
{
    struct err err;
    if (str_starts(word, "imp_") && strlen(word) < 64 && !strpbrk(word, "/?&#")) {
        memcpy(ret, word, strlen(word) + 1);
        return true;
    }
    AUTO_STR struct str encoded;
    str_init(&encoded, 4096);
    uri_encode(&encoded, word, strlen(word), false);
    AUTO_FREE char *path = mem_printf("/v1/imports?limit=1&external_ref=%s", encoded.data);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, &err) != 0) {
        (void)cli_error(cli, &err);
        return false;
    }
    const char *id = json_str_at(reply.json, "data.0.id");
    if (reply.status != 200 || !*id || strlen(id) >= 64) {
        (void)fprintf(stderr, "orgimport: there is no import `%s`\n", word);
        return false;
    }
    memcpy(ret, id, strlen(id) + 1);
    return true;
}
