#include "tests/unit/test.h"

#include "common/codec/file.h"
#include "common/codec/json.h"
#include "common/crypto/crypto.h"
#include "common/crypto/sign.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/orgimport-sign-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "%s/key", dir);
    (void)unlink(path);
    return rmdir(dir);
}

static void write_key(const char *text, unsigned mode)
{
    char path[64];
    struct err err;
    (void)snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(file_write(path, text, strlen(text), mode, &err), 0);
}

static int load(struct sign_key **ret, struct err *err)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/key", dir);
    return sign_key_load(path, ret, err);
}

/* RFC 8032, section 7.1: tests 1 and 2. */
static void signs_as_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } cases[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
         "e24"
         "655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
         "aee"
         "b00d291612bb0c00"},
    };
    for (size_t i = 0; i < 2; i++) {
        unsigned char seed[32], value[SIGN_BYTES], public_key[32];
        char hex[2 * SIGN_BYTES + 1];
        struct err err;
        AUTO_SIGN_KEY struct sign_key *key = NULL;
        assert_true(crypto_unhex(cases[i].seed, seed, 32));
        char *text = crypto_base64(seed, 32);
        write_key(text, 0600);
        free(text);
        assert_int_equal(load(&key, &err), 0);
        sign_make(key, cases[i].message, strlen(cases[i].message), value);
        crypto_hex(value, sizeof value, hex);
        assert_string_equal(hex, cases[i].signature);
        assert_true(crypto_unhex(cases[i].public_key, public_key, 32));
        assert_true(sign_check(public_key, cases[i].message, strlen(cases[i].message), value));
        value[3] ^= 1;
        assert_false(sign_check(public_key, cases[i].message, strlen(cases[i].message), value));
        value[3] ^= 1;
        public_key[0] ^= 1;
        assert_false(sign_check(public_key, cases[i].message, strlen(cases[i].message), value));
    }
}

static void a_key_is_made_once_and_for_its_owner_only(void **state)
{
    (void)state;
    char path[64];
    struct err err;
    struct stat st;
    AUTO_SIGN_KEY struct sign_key *one = NULL, *two = NULL;
    (void)snprintf(path, sizeof path, "%s/key", dir);
    (void)unlink(path);
    assert_int_equal(sign_key_ensure(path, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(load(&one, &err), 0);
    assert_int_equal(sign_key_ensure(path, &err), 0);
    assert_int_equal(load(&two, &err), 0);
    json_auto_t *a = sign_key_public(one), *b = sign_key_public(two);
    assert_true(json_equal(a, b));
    assert_int_equal(strlen(json_str_at(a, "key_id")), 16);
    assert_int_equal(chmod(path, 0640), 0);
    AUTO_SIGN_KEY struct sign_key *open = NULL;
    assert_int_equal(load(&open, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "AAAA", "not base64 at all, and far too long to be one anyway!!!"};
    for (size_t i = 0; i < 4; i++) {
        struct err err;
        AUTO_SIGN_KEY struct sign_key *key = NULL;
        write_key(texts[i], 0600);
        assert_int_equal(load(&key, &err), -1);
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_the_standard_says),
        cmocka_unit_test(a_key_is_made_once_and_for_its_owner_only),
        cmocka_unit_test(what_is_no_key_is_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
