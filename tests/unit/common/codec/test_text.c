/* URLs, XML, CSV, INI, times: each with what must be refused. */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/csv.h"
#include "common/codec/ini.h"
#include "common/codec/uri.h"
#include "common/codec/when.h"
#include "common/codec/xml.h"

static void encodes_and_decodes_percent(void **state)
{
    (void)state;
    struct str s;
    str_init(&s, 100);
    uri_encode(&s, "a b/\xC3\xA9+~", 8, false);
    assert_string_equal(s.data, "a%20b%2F%C3%A9%2B~");
    AUTO_FREE char *back = uri_decode(s.data, s.len, false, NULL);
    assert_string_equal(back, "a b/\xC3\xA9+~");
    str_done(&s);
    assert_null(uri_decode("%", 1, false, NULL));
    assert_null(uri_decode("%2", 2, false, NULL));
    assert_null(uri_decode("%zz", 3, false, NULL));
    assert_null(uri_decode("%00", 3, false, NULL));
    AUTO_FREE char *plus = uri_decode("a+b%2b", 6, true, NULL);
    assert_string_equal(plus, "a b+");
    AUTO_FREE char *at_end = uri_decode("x%41", 4, false, NULL);
    assert_string_equal(at_end, "xA");
}

static void splits_urls(void **state)
{
    (void)state;
    struct uri u;
    struct err err;
    assert_int_equal(uri_parse("rediss://us%40er:p%3Aw@host.example:6380/2?a=b", &u, &err), 0);
    assert_string_equal(u.scheme, "rediss");
    assert_string_equal(u.user, "us@er");
    assert_string_equal(u.password, "p:w");
    assert_string_equal(u.host, "host.example");
    assert_int_equal(u.port, 6380);
    assert_string_equal(u.path, "/2");
    assert_string_equal(u.query, "a=b");
    assert_int_equal(uri_parse("http://[::1]:80", &u, &err), 0);
    assert_string_equal(u.host, "::1");
    assert_int_equal(uri_parse("unix:///run/r.sock", &u, &err), 0);
    assert_string_equal(u.path, "/run/r.sock");
    static const char *const bad[] = {"",          "host",       "http://h:99999", "http://h:x", "http://[::1",
                                      "ht tp://x", "http://a\nb"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (uri_parse(bad[i], &u, &err) == 0)
            fail_msg("`%s` was taken", bad[i]);
}

static json_t *xml(const char *text, char root[64])
{
    struct err err;
    return xml_read(text, strlen(text), root, &err);
}

static void reads_aws_xml(void **state)
{
    (void)state;
    char root[64];
    json_auto_t *v = xml(
        "<R xmlns=\"http://x/\"><L><member><A>1</A></member><member><A>2</A></member></L><One><member>x</member></One>"
        "<Empty/><T>a &amp; b</T></R>",
        root);
    assert_non_null(v);
    assert_string_equal(root, "R");
    json_auto_t *two = xml_list(v, "L.member"), *one = xml_list(v, "One.member"), *none = xml_list(v, "Empty.member");
    assert_int_equal(json_array_size(two), 2);
    assert_string_equal(json_str_at(two, "1.A"), "2");
    assert_int_equal(json_array_size(one), 1);
    assert_int_equal(json_array_size(none), 0);
    assert_string_equal(json_str_at(v, "T"), "a & b");
}

static void refuses_hostile_xml(void **state)
{
    (void)state;
    char root[64];
    assert_null(xml("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", root));
    assert_null(xml("<a><b></a>", root));
    assert_null(xml("", root));
    struct str deep;
    str_init(&deep, 10000);
    for (int i = 0; i < 100; i++)
        str_add(&deep, "<a>");
    for (int i = 0; i < 100; i++)
        str_add(&deep, "</a>");
    assert_null(xml(deep.data, root));
    str_done(&deep);
}

static void reads_csv_with_places(void **state)
{
    (void)state;
    struct csv csv;
    struct err err;
    const char *text = "\xEF\xBB\xBF"
                       "a,b\r\n1,\"x \"\"y\"\"\nz\"\n\n,\n";
    assert_int_equal(csv_read(text, strlen(text), &csv, &err), 0);
    assert_int_equal(csv.count, 3);
    assert_string_equal(csv.rows[0].fields[0], "a");
    assert_string_equal(csv.rows[1].fields[1], "x \"y\"\nz");
    assert_int_equal(csv.rows[2].line, 5);
    assert_int_equal(csv.rows[2].count, 2);
    csv_done(&csv);
}

static void names_the_place_of_a_csv_fault(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where;
    } cases[] = {{"a\n\"b", "line 2 column 1"},
                 {"a\n\"b\"c\n", "line 2 column 4"},
                 {"a\nx\"y\n", "line 2 column 2"},
                 {"a\n\xff", "UTF-8"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct csv csv;
        struct err err;
        assert_int_equal(csv_read(cases[i].text, strlen(cases[i].text), &csv, &err), -1);
        if (!strstr(err.text, cases[i].where))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static int collect(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err)
{
    (void)err;
    str_addf(arg, "%s/%s=%s@%u;", section, key, value, line);
    return 0;
}

static void reads_shared_credentials(void **state)
{
    (void)state;
    struct str out;
    struct err err;
    str_init(&out, 1000);
    const char *text = "# c\n[default]\naws_access_key_id = A=B \ns3 =\n  max = 1\n[profile x y]\nk=v\r\n";
    assert_int_equal(ini_read(text, strlen(text), collect, &out, &err), 0);
    assert_string_equal(out.data, "default/aws_access_key_id=A=B@3;default/s3=@4;profile x y/k=v@7;");
    str_done(&out);
    assert_int_equal(ini_read("k=secretvalue", 13, collect, NULL, &err), -1);
    assert_null(strstr(err.text, "secretvalue"));
    assert_int_equal(ini_read("[x\n", 3, collect, NULL, &err), -1);
}

static void reads_and_writes_times(void **state)
{
    (void)state;
    uint64_t ms, other;
    char text[32];
    assert_true(when_parse("2026-11-23T10:00:00Z", &ms));
    when_rfc3339(ms, text);
    assert_string_equal(text, "2026-11-23T10:00:00Z");
    when_amz(ms, text);
    assert_string_equal(text, "20261123T100000Z");
    assert_true(when_parse("20261123T100000Z", &other) && other == ms);
    assert_true(when_parse("2026-11-23T12:00:00+02:00", &other) && other == ms);
    assert_true(when_parse("2026-11-23T10:00:00.250Z", &other) && other == ms + 250);
    assert_true(when_parse_http("Mon, 23 Nov 2026 10:00:00 GMT", &other) && other == ms);
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-02-31T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-11-23T25:00:00Z",
                                      "2026-11-23T10:00:00",
                                      "2026-11-23T10:00:00Zx"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (when_parse(bad[i], &other))
            fail_msg("`%s` was taken", bad[i]);
    when_span(61000, text);
    assert_string_equal(text, "1 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes_percent),
        cmocka_unit_test(splits_urls),
        cmocka_unit_test(reads_aws_xml),
        cmocka_unit_test(refuses_hostile_xml),
        cmocka_unit_test(reads_csv_with_places),
        cmocka_unit_test(names_the_place_of_a_csv_fault),
        cmocka_unit_test(reads_shared_credentials),
        cmocka_unit_test(reads_and_writes_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
