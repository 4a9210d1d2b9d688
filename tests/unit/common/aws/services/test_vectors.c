/* Plays tests/vectors/aws: every operation there builds the request that botocore builds and reads the facts of its
 * answer. */
#include "tests/unit/test.h"

#include "common/aws/services/build.h"
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/uri.h"
#include "common/codec/xml.h"

#include <dirent.h>

static json_t *read_json(const char *folder, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", folder, name);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    struct err err = {0};
    if (file_read(path, 1 << 20, &text, &len, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    json_t *v = json_read(text, len, 0, &err);
    if (!v)
        fail_msg("%s: %s", path, err.text);
    return v;
}

static void check_same(const char *folder, const char *what, const json_t *got, const json_t *wanted)
{
    if (json_equal(got, wanted))
        return;
    AUTO_FREE char *a = json_text(got), *b = json_text(wanted);
    fail_msg("%s: %s\n  got    %s\n  wanted %s", folder, what, a, b);
}

/* "a=b&c=d" as an object, decoded. */
static json_t *pairs_of(const char *text)
{
    json_t *all = json_object();
    while (*text) {
        size_t len = strcspn(text, "&"), name_len = strcspn(text, "=&");
        size_t value_at = name_len < len ? name_len + 1 : len, ignored = 0;
        AUTO_FREE char *name = uri_decode(text, name_len, false, &ignored);
        AUTO_FREE char *value = uri_decode(text + value_at, len - value_at, false, &ignored);
        assert_non_null(name);
        assert_non_null(value);
        json_put_str(all, name, value);
        text += len + (text[len] == '&');
    }
    return all;
}

static void check_body(const char *folder, const struct aws_request *request, const json_t *wanted)
{
    struct err err = {0};
    char root[64] = "";
    json_auto_t *got = NULL;
    if (json_has(wanted, "form")) {
        got = pairs_of(request->body.data);
        check_same(folder, "form", got, json_at(wanted, "form"));
    } else if (json_has(wanted, "json")) {
        got = request->body.len ? json_read(request->body.data, request->body.len, 0, &err) : json_object();
        check_same(folder, "body", got, json_at(wanted, "json"));
    } else if (json_has(wanted, "xml")) {
        got = xml_read(request->body.data, request->body.len, root, &err);
        assert_string_equal(root, json_str_at(wanted, "root"));
        check_same(folder, "body", got, json_at(wanted, "xml"));
    } else {
        assert_string_equal(request->body.data, json_str_at(wanted, "body"));
    }
}

static void check_request(const char *folder, const struct aws_op *op)
{
    json_auto_t *args = read_json(folder, "args.json"), *wanted = read_json(folder, "request.json");
    struct aws_request *request = MEM_NEW(struct aws_request);
    struct err err = {0};
    if (op->build(args, request, &err) < 0)
        fail_msg("%s: build: %s", folder, err.text);
    assert_string_equal(request->method, json_str_at(wanted, "method"));
    assert_string_equal(request->path, json_str_at(wanted, "path"));
    if (json_has(wanted, "bucket"))
        assert_string_equal(request->bucket, json_str_at(wanted, "bucket"));
    json_auto_t *query = pairs_of(request->query.data), *headers = json_object();
    check_same(folder, "query", query, json_at(wanted, "query"));
    for (size_t i = 0; i < request->header_count; i++)
        if (str_starts(request->headers[i].name, "x-amz-"))
            json_put_str(headers, request->headers[i].name, request->headers[i].value);
    check_same(folder, "headers", headers, json_at(wanted, "headers"));
    check_body(folder, request, wanted);
    str_done(&request->query);
    str_done(&request->body);
    mem_free(request);
}

static char *headers_text(const json_t *headers)
{
    AUTO_STR struct str text;
    str_init(&text, 65536);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)headers, name, value)
        str_addf(&text, "%s: %s\n", name, json_string_value(value));
    return mem_dup(text.data);
}

static void check_facts(const char *folder, const struct aws_op *op)
{
    json_auto_t *response = read_json(folder, "response.json"), *wanted = read_json(folder, "facts.json");
    AUTO_FREE char *headers = headers_text(json_at(response, "headers"));
    const char *body = json_str_at(response, "body");
    struct aws_reply reply = {
        .status = (int)json_int_at(response, "status"), .headers = headers, .body = body, .body_bytes = strlen(body)};
    struct err err = {0};
    json_auto_t *facts = op->parse(&reply, &err);
    const char *error = json_str_at(wanted, "$error");
    if (*error) {
        assert_null(facts);
        assert_string_equal(err_info(err.code)->name, error);
        return;
    }
    if (!facts)
        fail_msg("%s: parse: %s", folder, err.text);
    check_same(folder, "facts", facts, wanted);
}

/* An answer cut anywhere is a fault or fewer facts, never a crash; the sanitizers watch. */
static void check_truncated(const char *folder, const struct aws_op *op)
{
    json_auto_t *response = read_json(folder, "response.json");
    const char *body = json_str_at(response, "body");
    size_t len = strlen(body);
    for (size_t n = 0; n < len; n += 1 + len / 40) {
        AUTO_FREE char *cut = mem_dup_bytes(body, n);
        struct aws_reply reply = {.status = 200, .headers = "", .body = cut, .body_bytes = n};
        struct err err = {0};
        json_auto_t *facts = op->parse(&reply, &err);
        if (!facts)
            assert_int_not_equal(err.code, ERR_NONE);
    }
}

static const struct aws_op *op_of(const char *service, const char *folder)
{
    char name[160];
    (void)snprintf(name, sizeof name, "%s:%s", service, folder);
    name[strcspn(name, "@")] = 0;
    char *variant = strchr(strchr(name, ':'), '-');
    if (variant)
        *variant = '/';
    const struct aws_op *op = aws_op_by_name(name);
    if (!op)
        fail_msg("no operation %s", name);
    return op;
}

/* Calls `play` for each case; gives their number. */
static size_t each_case(void (*play)(const char *folder, const struct aws_op *op))
{
    static const char root[] = TEST_SOURCE_DIR "/tests/vectors/aws";
    size_t count = 0;
    struct dirent **services = NULL, **cases = NULL;
    int n = scandir(root, &services, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        AUTO_FREE char *service = mem_printf("%s/%s", root, services[i]->d_name);
        int m = services[i]->d_name[0] == '.' ? -1 : scandir(service, &cases, NULL, alphasort);
        for (int k = 0; k < m; k++) {
            AUTO_FREE char *folder = mem_printf("%s/%s", service, cases[k]->d_name);
            if (cases[k]->d_name[0] != '.') {
                play(folder, op_of(services[i]->d_name, cases[k]->d_name));
                count++;
            }
            free(cases[k]);
        }
        if (m >= 0)
            free(cases);
        free(services[i]);
    }
    free(services);
    return count;
}

static void requests_are_what_botocore_sends(void **state)
{
    (void)state;
    assert_true(each_case(check_request) > 50);
}

static void answers_give_their_facts(void **state)
{
    (void)state;
    assert_true(each_case(check_facts) > 50);
}

static void truncated_answers_do_no_harm(void **state)
{
    (void)state;
    assert_true(each_case(check_truncated) > 50);
}

static void faults_of_ours_are_refused(void **state)
{
    (void)state;
    struct aws_request *request = MEM_NEW(struct aws_request);
    struct err err = {0};
    const struct aws_op *op = aws_op_by_name("iam:GetRole");
    json_auto_t *missing = json_object(), *unknown = json_make("{s:s,s:s}", "RoleName", "x", "Rolename", "y");
    assert_int_equal(op->build(missing, request, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(op->build(unknown, request, &err), -1);
    assert_int_equal(build_header(request, "x-a", "b\r\nc: d", &err), -1);
    op = aws_op_by_name("s3:GetBucketLocation");
    json_auto_t *path = json_make("{s:s}", "Bucket", "../other");
    assert_int_equal(op->build(path, request, &err), -1);
    str_done(&request->query);
    str_done(&request->body);
    mem_free(request);
}

/* Every entry is complete: a write without a settle rule could be repeated blindly. */
static void every_entry_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; aws_ops[i]; i++) {
        const struct aws_op *op = aws_ops[i];
        assert_ptr_equal(aws_op_by_name(op->name), op);
        assert_non_null(op->service);
        assert_non_null(op->permission);
        assert_true(op->build && op->parse && op->family);
        if (op->mutates != (op->settle != SETTLE_NONE))
            fail_msg("%s: mutates and settle do not agree", op->name);
        if (op->pages)
            assert_true(op->pages->pages_max > 0 && *op->pages->list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_what_botocore_sends), cmocka_unit_test(answers_give_their_facts),
        cmocka_unit_test(truncated_answers_do_no_harm),     cmocka_unit_test(faults_of_ours_are_refused),
        cmocka_unit_test(every_entry_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
