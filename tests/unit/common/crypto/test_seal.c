#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"
#include "common/crypto/seal.h"

#include <ftw.h>
#include <sys/stat.h>

static char dir[] = "/tmp/orgimport-seal-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void a_credential_goes_to_its_own_customer_only(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(seal_keys_ensure(dir, &err), 0);
    assert_int_equal(seal_keys_ensure(dir, &err), 0); /* the second time keeps the first key */
    json_auto_t *pub = seal_public_key(dir, &err);
    json_auto_t *plain = json_make("{s:s,s:s}", "access_key_id", "AKIAEXAMPLE", "secret_access_key", "wJalr");
    json_auto_t *sealed = seal_credential(pub, "aws", "111122223333", plain, &err);
    assert_non_null(sealed);
    AUTO_FREE char *text = json_text(sealed);
    assert_null(strstr(text, "wJalr"));
    assert_int_equal(seal_check(sealed, &err), 0);
    struct secret *opened = NULL;
    assert_int_equal(seal_open(dir, "aws", "111122223333", sealed, &opened, &err), 0);
    assert_non_null(strstr((const char *)secret_bytes(opened), "wJalr"));
    secret_unref(opened);
    assert_int_equal(seal_open(dir, "aws", "111122224444", sealed, &opened, &err), -1);
    assert_int_equal(seal_open("/nonexistent", "aws", "111122223333", sealed, &opened, &err), -1);
}

static void the_private_half_is_for_its_owner_only(void **state)
{
    (void)state;
    struct err err;
    json_auto_t *pub = seal_public_key(dir, &err);
    AUTO_FREE char *path = mem_printf("%s/seal-%s.key", dir, json_str_at(pub, "epoch"));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void odd_shapes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"epoch\":\"../x\",\"sealed\":\"AAAA\"}",
                                      "{\"epoch\":\"1\",\"sealed\":\"AAAA\"}",
                                      "{\"epoch\":\"1\",\"sealed\":\"!!!!\"}",
                                      "{\"epoch\":\"1\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        json_auto_t *v = json_read(bad[i], strlen(bad[i]), 0, &err);
        if (seal_check(v, &err) == 0)
            fail_msg("`%s` was taken", bad[i]);
    }
}

static void base64_and_hex_refuse_what_is_not_theirs(void **state)
{
    (void)state;
    size_t len;
    AUTO_FREE unsigned char *raw = crypto_unbase64("aGVsbG8=", &len);
    assert_int_equal(len, 5);
    assert_memory_equal(raw, "hello", 5);
    assert_null(crypto_unbase64("aGVsbG8", &len));
    assert_null(crypto_unbase64("aGVs\nbG8", &len));
    unsigned char two[2];
    assert_true(crypto_unhex("00fF", two, 2) && two[1] == 255);
    assert_false(crypto_unhex("00fg", two, 2));
    assert_false(crypto_unhex("00", two, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_goes_to_its_own_customer_only),
        cmocka_unit_test(the_private_half_is_for_its_owner_only),
        cmocka_unit_test(odd_shapes_are_refused),
        cmocka_unit_test(base64_and_hex_refuse_what_is_not_theirs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
