/* The signer against AWS's own suite (read in place, skipped visibly without it) and against cases that botocore
 * answered (in this tree), stage by stage, so that a failure names the first stage that is wrong. */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"
#include "tests/lib/sigv4_case.h"

#include <dirent.h>

#define SUITE TEST_VECTORS_DIR "/sigv4"
#define FILE_MAX ((size_t)1024 * 1024)

static char *read_text(const char *folder, const char *name)
{
    char path[1024];
    char *text = NULL;
    struct err err;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(path, FILE_MAX, &text, NULL, &err))
        fail_msg("%s: %s", path, err.text);
    return text;
}

/* "METHOD target HTTP/1.1", headers with folded lines, an empty line, the body. */
static json_t *request_of(char *text, const json_t *context)
{
    char *body = strstr(text, "\n\n");
    char *end = body ? body : text + strlen(text);
    body = body ? body + 2 : end;
    json_auto_t *headers = json_array();
    char *line = text + strcspn(text, "\n");
    char *first = mem_dup_bytes(text, (size_t)(line - text));
    while (line < end) {
        line++;
        size_t n = strcspn(line, "\n");
        while (line + n < end && (line[n + 1] == ' ' || line[n + 1] == '\t'))
            n += 1 + strcspn(line + n + 1, "\n");
        size_t colon = strcspn(line, ":");
        if (n && colon < n)
            json_array_append_new(headers, json_pack("[s%, s%]", line, colon, line + colon + 1, n - colon - 1));
        line += n;
    }
    size_t space = strcspn(first, " ");
    char *target = first + space + 1;
    char *version = strstr(target, " HTTP/1.1");
    assert_non_null(version);
    *version = 0;
    char *query = strchr(target, '?');
    if (query)
        *query++ = 0;
    char hash[65];
    crypto_sha256_hex(body, strlen(body), hash);
    json_array_append_new(headers, json_pack("[s, s]", "X-Amz-Date", "20150830T123600Z"));
    const char *token = json_str_at(context, "credentials.token");
    if (*token && !json_bool_at(context, "omit_session_token"))
        json_array_append_new(headers, json_pack("[s, s]", "X-Amz-Security-Token", token));
    if (json_bool_at(context, "sign_body"))
        json_array_append_new(headers, json_pack("[s, s]", "X-Amz-Content-Sha256", hash));
    json_t *made = json_pack("{s:s%, s:s, s:s, s:O, s:s, s:s, s:s, s:s, s:b, s:s, s:s}", "method", first, space, "path",
                             target, "query", query ? query : "", "headers", headers, "payload_hash", hash, "region",
                             json_str_at(context, "region"), "service", json_str_at(context, "service"), "amz_date",
                             "20150830T123600Z", "keep_path", !json_bool_at(context, "normalize"), "access_key_id",
                             json_str_at(context, "credentials.access_key_id"), "secret_key",
                             json_str_at(context, "credentials.secret_access_key"));
    mem_free(first);
    assert_non_null(made);
    return made;
}

static void check_suite_case(const char *name)
{
    char folder[512];
    (void)snprintf(folder, sizeof folder, SUITE "/%s", name);
    print_message("%s\n", name);
    AUTO_FREE char *context_text = read_text(folder, "context.json");
    AUTO_FREE char *request = read_text(folder, "request.txt");
    AUTO_FREE char *canonical = read_text(folder, "header-canonical-request.txt");
    AUTO_FREE char *to_sign = read_text(folder, "header-string-to-sign.txt");
    AUTO_FREE char *signature = read_text(folder, "header-signature.txt");
    AUTO_FREE char *signed_request = read_text(folder, "header-signed-request.txt");
    struct err err;
    json_auto_t *context = json_read(context_text, strlen(context_text), 0, &err);
    assert_non_null(context);
    assert_string_equal(json_str_at(context, "timestamp"), "2015-08-30T12:36:00Z");
    json_auto_t *one = request_of(request, context);
    struct sigv4_stages stages;
    sigv4_case_run(one, &stages);
    assert_string_equal(stages.canonical.data, canonical);
    assert_string_equal(stages.string_to_sign.data, to_sign);
    assert_string_equal(stages.signature, signature);
    assert_non_null(strstr(signed_request, stages.authorization.data));
    sigv4_stages_done(&stages);
}

static void every_case_of_the_published_suite_agrees_stage_by_stage(void **state)
{
    (void)state;
    DIR *dir = opendir(SUITE);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        char context[600];
        (void)snprintf(context, sizeof context, SUITE "/%s/context.json", d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(context, "re");
        if (!f)
            continue;
        (void)fclose(f);
        check_suite_case(d->d_name);
        count++;
    }
    (void)closedir(dir);
    assert_true(count >= 30);
}

static void every_case_of_our_own_agrees_with_the_second_implementation(void **state)
{
    (void)state;
    AUTO_FREE char *text = read_text(TEST_SOURCE_DIR "/tests/vectors/sigv4", "own.json");
    struct err err;
    json_auto_t *all = json_read(text, strlen(text), 0, &err);
    assert_non_null(all);
    assert_true(json_array_size(all) >= 40);
    size_t i;
    json_t *one;
    json_array_foreach (all, i, one) {
        struct sigv4_stages stages;
        sigv4_case_run(one, &stages);
        assert_string_equal(stages.canonical.data, json_str_at(one, "expect.canonical"));
        assert_string_equal(stages.string_to_sign.data, json_str_at(one, "expect.string_to_sign"));
        assert_string_equal(stages.signature, json_str_at(one, "expect.signature"));
        assert_string_equal(stages.authorization.data, json_str_at(one, "expect.authorization"));
        sigv4_stages_done(&stages);
    }
}

static void raw_and_encoded_queries_sign_the_same(void **state)
{
    (void)state;
    static const char *const spellings[] = {"a=%2fx&b=%7e", "b=~&a=%2Fx", "b=%7E&a=/x"};
    char first[65] = "";
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        json_auto_t *one = json_make("{s:s, s:s, s:s, s:[[s, s]], s:s, s:s, s:s, s:s, s:s, s:s}", "method", "GET",
                                     "path", "/", "query", spellings[i], "headers", "Host", "h", "payload_hash",
                                     "UNSIGNED-PAYLOAD", "region", "us-east-1", "service", "iam", "amz_date",
                                     "20150830T123600Z", "access_key_id", "AKIDEXAMPLE", "secret_key", "k");
        struct sigv4_stages stages;
        sigv4_case_run(one, &stages);
        if (i)
            assert_string_equal(stages.signature, first);
        memcpy(first, stages.signature, sizeof first);
        sigv4_stages_done(&stages);
    }
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(every_case_of_our_own_agrees_with_the_second_implementation),
        cmocka_unit_test(raw_and_encoded_queries_sign_the_same),
    };
    const struct CMUnitTest published[] = {
        cmocka_unit_test(every_case_of_the_published_suite_agrees_stage_by_stage),
    };
    int failed = cmocka_run_group_tests(own, NULL, NULL);
    DIR *dir = opendir(SUITE);
    if (!dir)
        return failed ? failed : test_skip("VECTORS", "no published SigV4 suite");
    (void)closedir(dir);
    return failed + cmocka_run_group_tests(published, NULL, NULL);
}
