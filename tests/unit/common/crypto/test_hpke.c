/* HPKE against the RFC 9180 vectors (read in place, skipped visibly without them) and against itself. */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/json.h"
#include "common/crypto/crypto.h"
#include "common/crypto/hpke.h"

static json_t *vectors;

struct bytes {
    unsigned char data[512];
    size_t len;
};

static struct bytes hex(const json_t *v, const char *name)
{
    struct bytes b;
    const char *text = json_str_at(v, name);
    b.len = strlen(text) / 2;
    assert_true(b.len < sizeof b.data && crypto_unhex(text, b.data, b.len));
    return b;
}

static void check_case(const json_t *v)
{
    enum hpke_kem kem = json_int_at(v, "kem_id") == 0x20 ? HPKE_X25519 : HPKE_P256;
    struct bytes info = hex(v, "info"), enc = hex(v, "enc"), key = hex(v, "key"), nonce = hex(v, "base_nonce");
    struct bytes skr = hex(v, "skRm"), pkr = hex(v, "pkRm"), ske = hex(v, "skEm");
    struct hpke_key mine;
    struct err err;
    assert_int_equal(hpke_key_from_private(kem, skr.data, &mine, &err), 0);
    assert_int_equal(mine.pub_len, pkr.len);
    assert_memory_equal(mine.pub, pkr.data, pkr.len);
    struct hpke_context sender, receiver;
    unsigned char got_enc[65];
    size_t got_len;
    assert_int_equal(hpke_setup_sender(&mine, info.data, info.len, ske.data, got_enc, &got_len, &sender, &err), 0);
    assert_int_equal(got_len, enc.len);
    assert_memory_equal(got_enc, enc.data, enc.len);
    assert_int_equal(hpke_setup_receiver(&mine, enc.data, enc.len, info.data, info.len, &receiver, &err), 0);
    assert_memory_equal(sender.key, key.data, 32);
    assert_memory_equal(receiver.key, key.data, 32);
    assert_memory_equal(receiver.base_nonce, nonce.data, 12);
    const json_t *list = json_at(v, "encryptions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        struct bytes aad = hex(e, "aad"), pt = hex(e, "pt"), ct = hex(e, "ct");
        unsigned char out[512];
        assert_int_equal(hpke_context_seal(&sender, aad.data, aad.len, pt.data, pt.len, out, &err), 0);
        assert_memory_equal(out, ct.data, ct.len);
        assert_int_equal(hpke_context_open(&receiver, aad.data, aad.len, ct.data, ct.len, out, &err), 0);
        assert_memory_equal(out, pt.data, pt.len);
    }
    assert_true(json_array_size(list) > 0);
    hpke_key_done(&mine);
}

static void equals_the_published_vectors(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(vectors); i++, count++)
        check_case(json_array_get(vectors, i));
    assert_true(count > 0);
}

static void opens_only_what_was_sealed_for_it(void **state)
{
    (void)state;
    for (int kem = 0; kem < 2; kem++) {
        struct hpke_key mine, other;
        struct err err;
        assert_int_equal(hpke_key_generate((enum hpke_kem)kem, &mine, &err), 0);
        assert_int_equal(hpke_key_generate((enum hpke_kem)kem, &other, &err), 0);
        unsigned char *sealed = NULL;
        size_t len = 0;
        assert_int_equal(hpke_seal(&mine, "i", 1, "aws/111122223333", 16, "secret", 6, &sealed, &len, &err), 0);
        struct secret *plain = NULL;
        assert_int_equal(hpke_open(&mine, "i", 1, "aws/111122223333", 16, sealed, len, &plain, &err), 0);
        assert_memory_equal(secret_bytes(plain), "secret", 6);
        secret_unref(plain);
        assert_int_equal(hpke_open(&other, "i", 1, "aws/111122223333", 16, sealed, len, &plain, &err), -1);
        assert_int_equal(hpke_open(&mine, "i", 1, "aws/999922223333", 16, sealed, len, &plain, &err), -1);
        for (size_t i = 0; i < len; i++) { /* any flipped bit is found */
            sealed[i] ^= 1;
            if (hpke_open(&mine, "i", 1, "aws/111122223333", 16, sealed, len, &plain, &err) == 0)
                fail_msg("byte %zu was not covered", i);
            sealed[i] ^= 1;
        }
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(hpke_open(&mine, "i", 1, "aws/111122223333", 16, sealed, cut, &plain, &err), -1);
        mem_free(sealed);
        hpke_key_done(&mine);
        hpke_key_done(&other);
    }
}

int main(void)
{
    const struct CMUnitTest own[] = {cmocka_unit_test(opens_only_what_was_sealed_for_it)};
    int failed = cmocka_run_group_tests_name("own", own, NULL, NULL);
    char *text = NULL;
    size_t len = 0;
    struct err err;
    if (file_read(TEST_VECTORS_DIR "/hpke/base-x25519-p256-sha256-aes256gcm.json", (size_t)4 << 20, &text, &len,
                  &err) != 0)
        return failed ? failed : test_skip("VECTORS", "no RFC 9180 vectors");
    vectors = json_read(text, len, 0, &err);
    mem_free(text);
    const struct CMUnitTest published[] = {cmocka_unit_test(equals_the_published_vectors)};
    failed += cmocka_run_group_tests_name("rfc9180", published, NULL, NULL);
    json_decref(vectors);
    return failed;
}
