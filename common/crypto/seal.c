#include "common/crypto/seal.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define INFO "orgimport credential v1"
#define EPOCH_BYTES_MAX 32
#define SEALED_TEXT_MAX 16384

static bool epoch_is_fine(const char *epoch)
{
    size_t n = strlen(epoch);
    return n && n <= EPOCH_BYTES_MAX && strspn(epoch, "0123456789-.") == n;
}

/* The newest epoch in `dir` that has a file of this kind; "" when there is none. Epochs sort as text. */
static void newest_epoch(const char *dir, char ret[EPOCH_BYTES_MAX + 1])
{
    ret[0] = 0;
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (!str_starts(e->d_name, "seal-") || !str_ends(e->d_name, ".pub") || n - 9 > EPOCH_BYTES_MAX)
            continue;
        char epoch[EPOCH_BYTES_MAX + 1];
        memcpy(epoch, e->d_name + 5, n - 9);
        epoch[n - 9] = 0;
        if (epoch_is_fine(epoch) && strcmp(epoch, ret) > 0)
            memcpy(ret, epoch, n - 8);
    }
    (void)closedir(d);
}

int seal_keys_ensure(const char *dir, struct err *err)
{
    char epoch[EPOCH_BYTES_MAX + 1];
    if (file_make_dirs(dir, 0700, err) != 0)
        return -1;
    newest_epoch(dir, epoch);
    if (epoch[0])
        return 0;
    time_t now = time(NULL);
    struct tm tm;
    if (!gmtime_r(&now, &tm) || !strftime(epoch, sizeof epoch, "%Y-%m-%d.1", &tm))
        return err_set(err, ERR_INTERNAL, "no time of day");
    struct hpke_key key;
    if (hpke_key_generate(HPKE_X25519, &key, err) != 0)
        return -1;
    AUTO_FREE char *pub = crypto_base64(key.pub, key.pub_len);
    char *priv = crypto_base64(secret_bytes(key.priv), 32);
    AUTO_FREE char *pub_path = mem_printf("%s/seal-%s.pub", dir, epoch);
    AUTO_FREE char *key_path = mem_printf("%s/seal-%s.key", dir, epoch);
    /* The private half first: a public key without it would seal what nobody can open. */
    int result = file_write(key_path, priv, strlen(priv), 0600, err);
    if (result == 0)
        result = file_write(pub_path, pub, strlen(pub), 0644, err);
    secret_wipe(priv, strlen(priv));
    mem_free(priv);
    hpke_key_done(&key);
    return result;
}

json_t *seal_public_key(const char *dir, struct err *err)
{
    char epoch[EPOCH_BYTES_MAX + 1];
    newest_epoch(dir, epoch);
    if (!epoch[0]) {
        err_set(err, ERR_CONFIG, "%s: no sealing key", dir);
        return NULL;
    }
    AUTO_FREE char *path = mem_printf("%s/seal-%s.pub", dir, epoch);
    AUTO_FREE char *text = NULL;
    if (file_read(path, 256, &text, NULL, err) != 0)
        return NULL;
    text[strcspn(text, "\r\n")] = 0;
    return json_make("{s:s, s:s, s:s}", "epoch", epoch, "kem", "x25519", "public", text);
}

json_t *seal_credential(const json_t *public_key, const char *partition, const char *account_id, const json_t *plain,
                        struct err *err)
{
    const char *epoch = json_str_at(public_key, "epoch");
    struct hpke_key to = {.kem = HPKE_X25519};
    size_t len = 0;
    AUTO_FREE unsigned char *pub = crypto_unbase64(json_str_at(public_key, "public"), &len);
    if (!pub || len != 32 || !epoch_is_fine(epoch)) {
        err_set(err, ERR_CONFIG, "the sealing key is not usable");
        return NULL;
    }
    memcpy(to.pub, pub, 32);
    to.pub_len = 32;
    char *text = json_text(plain);
    AUTO_FREE char *aad = mem_printf("%s/%s", partition, account_id);
    AUTO_FREE unsigned char *sealed = NULL;
    size_t sealed_len = 0;
    int result = hpke_seal(&to, INFO, strlen(INFO), aad, strlen(aad), text, strlen(text), &sealed, &sealed_len, err);
    secret_wipe(text, strlen(text));
    mem_free(text);
    if (result != 0)
        return NULL;
    AUTO_FREE char *b64 = crypto_base64(sealed, sealed_len);
    return json_make("{s:s, s:s}", "epoch", epoch, "sealed", b64);
}

int seal_check(const json_t *sealed, struct err *err)
{
    size_t len = 0;
    const char *text = json_str_at(sealed, "sealed");
    AUTO_FREE unsigned char *raw = strlen(text) <= SEALED_TEXT_MAX ? crypto_unbase64(text, &len) : NULL;
    if (!json_is_object(sealed) || json_object_size(sealed) != 2 || !epoch_is_fine(json_str_at(sealed, "epoch")) ||
        !raw || len < 48)
        return err_set(err, ERR_FIELD_INVALID, "not a sealed credential: {\"epoch\",\"sealed\"} from the sealing key");
    return 0;
}

int seal_open(const char *dir, const char *partition, const char *account_id, const json_t *sealed, struct secret **ret,
              struct err *err)
{
    if (seal_check(sealed, err) != 0)
        return -1;
    AUTO_FREE char *path = mem_printf("%s/seal-%s.key", dir, json_str_at(sealed, "epoch"));
    char *text = NULL;
    if (file_read(path, 256, &text, NULL, err) != 0)
        return err_wrap(err, "the private key of that sealing epoch is not here");
    text[strcspn(text, "\r\n")] = 0;
    size_t len = 0, sealed_len = 0;
    unsigned char *priv = crypto_unbase64(text, &len);
    secret_wipe(text, strlen(text));
    mem_free(text);
    struct hpke_key mine = {0};
    int result = priv && len == 32 ? hpke_key_from_private(HPKE_X25519, priv, &mine, err)
                                   : err_set(err, ERR_CONFIG, "%s: not a private key", path);
    if (priv)
        secret_wipe(priv, len);
    mem_free(priv);
    if (result != 0)
        return -1;
    AUTO_FREE unsigned char *raw = crypto_unbase64(json_str_at(sealed, "sealed"), &sealed_len);
    AUTO_FREE char *aad = mem_printf("%s/%s", partition, account_id);
    result = hpke_open(&mine, INFO, strlen(INFO), aad, strlen(aad), raw, sealed_len, ret, err);
    hpke_key_done(&mine);
    return result;
}
