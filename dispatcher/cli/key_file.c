#include "dispatcher/cli/key_file.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/ini.h"
#include "common/crypto/seal.h"

#include <string.h>
#include <sys/stat.h>

void key_file_done(struct key_file *c)
{
    for (size_t i = 0; i < c->count; i++) {
        secret_unref(c->items[i].secret_key);
        secret_unref(c->items[i].session_token);
    }
    mem_free(c->items);
    *c = (struct key_file){0};
}

const struct key_entry *key_file_find(const struct key_file *c, const char *external_ref)
{
    for (size_t i = 0; i < c->count; i++)
        if (str_eq(c->items[i].external_ref, external_ref))
            return &c->items[i];
    return NULL;
}

static int on_key(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err)
{
    struct key_file *c = arg;
    struct key_entry *item = NULL;
    if (c->count && str_eq(c->items[c->count - 1].external_ref, section)) {
        item = &c->items[c->count - 1];
    } else {
        if (key_file_find(c, section))
            return err_set(err, ERR_ROW_DUPLICATE, "line %u: the section stands twice", line);
        if (strlen(section) >= sizeof item->external_ref)
            return err_set(err, ERR_FIELD_INVALID, "line %u: the section's name is too long", line);
        c->items = mem_resize(c->items, (c->count + 1) * sizeof *c->items);
        item = &c->items[c->count++];
        *item = (struct key_entry){0};
        memcpy(item->external_ref, section, strlen(section) + 1);
    }
    size_t len = strlen(value);
    if (str_eq(key, "aws_access_key_id")) {
        if (len < 16 || len >= sizeof item->access_key_id)
            return err_set(err, ERR_FIELD_INVALID, "line %u: not an access key id", line);
        memcpy(item->access_key_id, value, len + 1);
    } else if (str_eq(key, "aws_secret_access_key")) {
        secret_unref(item->secret_key);
        item->secret_key = secret_new(value, len);
    } else if (str_eq(key, "aws_session_token")) {
        secret_unref(item->session_token);
        item->session_token = secret_new(value, len);
    }
    return 0;
}

int key_file_read(const char *path, struct key_file *ret, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 077))
        return err_set(err, ERR_CONFIG, "%s can be read by others (mode %03o): chmod 600 it first", path,
                       (unsigned)(st.st_mode & 0777));
    char *text = NULL;
    size_t len = 0;
    if (file_read(path, (size_t)16 << 20, &text, &len, err) != 0)
        return -1;
    int result = ini_read(text, len, on_key, ret, err);
    secret_wipe(text, len);
    mem_free(text);
    for (size_t i = 0; result == 0 && i < ret->count; i++)
        if (!ret->items[i].access_key_id[0] || !ret->items[i].secret_key)
            result = err_set(err, ERR_FIELD_MISSING, "section [%s] needs aws_access_key_id and aws_secret_access_key",
                             ret->items[i].external_ref);
    return result == 0 ? 0 : err_wrap(err, "%s", path);
}

static json_t *seal(struct cli *cli, const struct key_entry *key, const json_t *import, struct err *err)
{
    AUTO_REPLY struct cli_reply pub = {0};
    if (cli_get(cli, "/v1/sealing-key", &pub, err) != 0)
        return NULL;
    if (pub.status != 200) {
        err_set(err, ERR_CONFIG, "the dispatcher has no sealing key");
        return NULL;
    }
    json_auto_t *plain = json_make("{s:s, s:s#}", "access_key_id", key->access_key_id, "secret_access_key",
                                   (const char *)secret_bytes(key->secret_key), (int)secret_len(key->secret_key));
    if (key->session_token)
        json_put(plain, "session_token",
                 json_stringn((const char *)secret_bytes(key->session_token), secret_len(key->session_token)));
    json_t *sealed = seal_credential(pub.json, json_str_or(import, "organization.partition", "aws"),
                                     json_str_at(import, "organization.management_account_id"), plain, err);
    /* jansson's copies are wiped too: the process goes on living while it shows progress. */
    const char *name;
    json_t *value;
    json_object_foreach (plain, name, value) {
        secret_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    }
    return sealed;
}

int key_file_hand_over(struct cli *cli, const struct key_entry *key, const char *import_id, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", import_id);
    AUTO_REPLY struct cli_reply import = {0};
    /* A batch says that a row is taken a moment before its import can be read. */
    for (int look = 0; look < 50 && (!look || import.status == 404); look++) {
        if (look)
            cli_pause_ms(100);
        cli_reply_done(&import);
        if (cli_get(cli, path, &import, err) != 0)
            return -1;
    }
    json_auto_t *sealed = import.status == 200 ? seal(cli, key, import.json, err) : NULL;
    if (!sealed)
        return import.status == 200 ? -1 : err_set(err, ERR_NOT_FOUND, "there is no import %s", import_id);
    json_auto_t *body = json_make("{s:O}", "sealed", sealed);
    AUTO_FREE char *text = json_text(body);
    AUTO_FREE char *to = mem_printf("%s/credential", path);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_send(cli, "PUT", to, "application/json", text, strlen(text), NULL, &reply, err) != 0)
        return -1;
    if (reply.status >= 300)
        return err_set(err, ERR_STATE_CONFLICT, "%s: the key was not taken: %s", key->external_ref,
                       json_str_or(reply.json, "detail", "refused"));
    return 0;
}
