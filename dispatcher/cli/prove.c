/* Verbs of the proof: ledger, evidence, verify, report, keys. `verify` and `report` need no fleet, no network and no
 * configuration: only the file. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/when.h"
#include "common/crypto/crypto.h"
#include "common/crypto/sign.h"
#include "common/proof/bundle.h"
#include "common/proof/bundle_check.h"
#include "common/proof/ledger_chain.h"
#include "common/proof/ledger_story.h"
#include "common/proof/reconcile.h"
#include "common/report/report.h"

#include <string.h>

static const char *word_of(struct cli *cli, const struct cli_flag *flags, size_t flag_count, const char *missing,
                           int *ret_code)
{
    const char *words[1] = {NULL};
    size_t count = 0;
    *ret_code = cli_parse(cli, flags, flag_count, words, 1, &count);
    if (*ret_code == EXIT_OK && !count)
        *ret_code = cli_usage(cli, missing);
    return *ret_code == EXIT_OK ? words[0] : NULL;
}

/* Connected, and the word's id known. */
static int find_import(struct cli *cli, const char *word, char ret_id[64])
{
    struct err err;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    return cli_import_id(cli, word, ret_id) ? EXIT_OK : EXIT_ERROR;
}

static int get_json(struct cli *cli, const char *path, json_t **ret)
{
    AUTO_REPLY struct cli_reply reply = {0};
    struct err err;
    if (cli_get(cli, path, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status != 200)
        return cli_problem(cli, &reply);
    *ret = TAKE(reply.json);
    return EXIT_OK;
}

/* ---- ledger ---- */
static int get_lines(struct cli *cli, const char *id, json_t **ret)
{
    json_auto_t *lines = json_array();
    for (json_int_t from = 0, page = 0; page < 10000; page++) {
        AUTO_FREE char *path = mem_printf("/v1/imports/%s/ledger?limit=500&from=%lld", id, (long long)from);
        json_auto_t *got = NULL;
        int code = get_json(cli, path, &got);
        if (code != EXIT_OK)
            return code;
        (void)json_array_extend(lines, json_object_get(got, "data"));
        from = json_int_at(got, "next");
        if (!from)
            break;
    }
    *ret = json_incref(lines);
    return EXIT_OK;
}

static void print_story(const json_t *story)
{
    size_t i = 0;
    json_t *one = NULL;
    char day[12] = "";
    json_array_foreach ((json_t *)(uintptr_t)story, i, one) {
        char at[32];
        when_rfc3339((uint64_t)json_int_at(one, "at_ms"), at);
        if (strncmp(day, at, 10) != 0)
            printf("%s%.10s\n", i ? "\n" : "", at);
        memcpy(day, at, 10);
        const char *who = json_str_at(one, "who");
        printf("%.8s  %-18s %c %s%s%s\n", at + 11, json_str_or(one, "step", "the import"),
               json_bool_at(one, "is_write") ? '*' : ' ', str_eq(who, "orgimport") ? "" : who,
               str_eq(who, "orgimport") ? "" : " ", json_str_at(one, "text"));
    }
}

static int show_ledger(const struct cli *cli, bool is_json, const char *id, const json_t *lines, const json_t *steps)
{
    char root[65];
    json_auto_t *problems = json_array();
    json_auto_t *heads = ledger_heads(lines, problems);
    ledger_root(heads, root);
    json_auto_t *story = ledger_story(lines, steps);
    if (is_json) {
        json_auto_t *all = json_make("{s:s,s:O,s:O,s:s,s:O}", "import_id", id, "lines", lines, "heads", heads, "root",
                                     root, "problems", problems);
        cli_print_value(cli, all);
    } else {
        print_story(story);
        printf("\n%zu lines in %zu chains (* a write at AWS); root %s\n", json_array_size(lines),
               json_object_size(heads), root);
    }
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (problems, i, one)
        (void)fprintf(stderr, "orgimport: the chain is broken: %s\n", json_string_value(one));
    return json_array_size(problems) ? EXIT_PROOF : EXIT_OK;
}

static int issue_root(struct cli *cli, bool is_json, const char *id, const char *to, const char *by)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/roots", id);
    json_auto_t *body = json_make("{s:s,s:s}", "to", to, "by", by ? by : "cli");
    AUTO_REPLY struct cli_reply reply = {0};
    struct err err;
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status != 201)
        return cli_problem(cli, &reply);
    if (is_json)
        cli_print_value(cli, reply.json);
    else
        printf("root %s for %s\n", json_str_at(reply.json, "root"), json_str_at(reply.json, "to"));
    return EXIT_OK;
}

int cli_verb_ledger(struct cli *cli)
{
    const char *issue = NULL, *by = NULL;
    bool is_json = cli_is_json(cli);
    const struct cli_flag flags[] = {{"issue", &issue, NULL}, {"by", &by, NULL}, {"json", NULL, &is_json}};
    int code = EXIT_OK;
    char id[64];
    const char *word = word_of(cli, flags, ARRAY_LEN(flags), "ledger needs an IMPORT (id or external_ref)", &code);
    if (!word || (code = find_import(cli, word, id)) != EXIT_OK)
        return code;
    if (issue)
        return issue_root(cli, is_json, id, issue, by);
    json_auto_t *lines = NULL, *import = NULL, *names = json_array();
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", id);
    if ((code = get_lines(cli, id, &lines)) != EXIT_OK || (code = get_json(cli, path, &import)) != EXIT_OK)
        return code;
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (json_object_get(import, "steps"), i, step)
        (void)json_array_append_new(names, json_string(json_str_at(step, "name")));
    return show_ledger(cli, is_json, id, lines, names);
}

/* ---- evidence, report ---- */
static int write_file(const struct cli *cli, const char *path, const char *text, size_t len)
{
    struct err err;
    return file_write(path, text, len, 0644, &err) == 0 ? EXIT_OK : cli_error(cli, &err);
}

static int write_html(const struct cli *cli, const struct bundle_report *checked, const char *path)
{
    AUTO_STR struct str html;
    str_init(&html, BUNDLE_BYTES_MAX);
    report_html(checked, &html);
    return write_file(cli, path, html.data, html.len);
}

int cli_verb_evidence(struct cli *cli)
{
    const char *out = NULL, *html = NULL;
    const struct cli_flag flags[] = {{"out", &out, NULL}, {"html", &html, NULL}};
    int code = EXIT_OK;
    char id[64];
    const char *word = word_of(cli, flags, ARRAY_LEN(flags), "evidence needs an IMPORT (id or external_ref)", &code);
    if (!word)
        return code;
    if (!out && !html)
        return cli_usage(cli, "evidence needs --out FILE, --html FILE or both");
    if ((code = find_import(cli, word, id)) != EXIT_OK)
        return code;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/evidence", id);
    json_auto_t *bundle = NULL;
    if ((code = get_json(cli, path, &bundle)) != EXIT_OK)
        return code;
    AUTO_STR struct str text; /* read and written again: the form is canonical, so the bytes are the dispatcher's */
    str_init(&text, BUNDLE_BYTES_MAX);
    json_canonical(bundle, &text);
    str_add_char(&text, '\n');
    struct bundle_report checked;
    bundle_check(text.data, text.len, NULL, &checked);
    if (out)
        code = write_file(cli, out, text.data, text.len);
    if (code == EXIT_OK && html)
        code = write_html(cli, &checked, html);
    if (code == EXIT_OK)
        puts(checked.text);
    if (code == EXIT_OK && json_array_size(checked.problems))
        code = EXIT_PROOF;
    bundle_report_done(&checked);
    return code;
}

/* A public key: base64, or a file that holds it (what `orgimport keys` prints as JSON will do as well). */
static int read_key(const char *word, unsigned char ret[SIGN_PUBLIC_BYTES], struct err *err)
{
    size_t len = 0;
    AUTO_FREE char *text = NULL;
    struct err ignored;
    if (file_read(word, 65536, &text, NULL, &ignored) != 0)
        text = mem_dup(word);
    json_auto_t *json = *text == '{' ? json_read(text, strlen(text), 0, err) : NULL;
    const char *in_json = json_str_or(json, "signing.public_key", json_str_at(json, "public_key"));
    text[strcspn(text, "\r\n")] = 0;
    AUTO_FREE unsigned char *bytes = crypto_unbase64(json ? in_json : text, &len);
    if (!bytes || len != SIGN_PUBLIC_BYTES)
        return err_set(err, ERR_USAGE, "--key is no public key: base64 of 32 bytes, or a file with it");
    memcpy(ret, bytes, len);
    return 0;
}

static void print_check(const struct cli *cli, const struct bundle_report *r)
{
    if (!cli_is_json(cli)) {
        puts(r->text);
        for (size_t i = 1; i < json_array_size(r->problems); i++)
            printf("  also: %s\n", json_string_value(json_array_get(r->problems, i)));
        return;
    }
    json_auto_t *all = json_make("{s:b,s:b,s:b,s:b,s:s,s:s,s:O}", "good", (int)bundle_is_good(r), "proven",
                                 (int)r->is_proven, "signed", (int)r->is_signed, "pinned", (int)r->is_pinned, "key_id",
                                 r->key_id, "text", r->text, "problems", r->problems);
    cli_print_value(cli, all);
}

/* The ledger against what the customer's own CloudTrail says, both ways. EXIT_PROOF when they disagree. */
static int check_trail(const struct cli *cli, const struct bundle_report *r, const char *path)
{
    struct err err;
    AUTO_FREE char *bytes = NULL;
    size_t len = 0;
    if (file_read(path, BUNDLE_BYTES_MAX, &bytes, &len, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *export = json_read(bytes, len, 0, &err);
    if (!export)
        return cli_error(cli, &err);
    const json_t *payload = json_object_get(r->bundle, "payload");
    struct ours who = reconcile_who_of(payload);
    json_auto_t *events = reconcile_read(export);
    json_auto_t *found = reconcile(&who, json_at(payload, "ledger.lines"), events, UINT64_MAX, 0);
    size_t missing = json_array_size(json_object_get(found, "missing")),
           lacking = json_array_size(json_object_get(found, "lacking"));
    if (cli_is_json(cli)) {
        cli_print_value(cli, found);
    } else {
        printf(
            "CloudTrail: of %lld writes in the ledger %lld have their event, %zu do not; %zu events of our session are "
            "not in the ledger\n",
            (long long)json_int_at(found, "writes"), (long long)json_int_at(found, "matched"), missing, lacking);
        for (size_t i = 0; i < missing; i++)
            printf("  no event: %s of %s, request %s\n",
                   json_str_at(json_array_get(json_at(found, "missing"), i), "op"),
                   json_str_at(json_array_get(json_at(found, "missing"), i), "step"),
                   json_str_at(json_array_get(json_at(found, "missing"), i), "request_id"));
        for (size_t i = 0; i < lacking; i++)
            printf("  not in the ledger: %s, event %s\n",
                   json_str_at(json_array_get(json_at(found, "lacking"), i), "name"),
                   json_str_at(json_array_get(json_at(found, "lacking"), i), "id"));
    }
    return missing + lacking ? EXIT_PROOF : EXIT_OK;
}

int cli_verb_verify(struct cli *cli)
{
    const char *key = NULL, *trail = NULL;
    const struct cli_flag flags[] = {{"key", &key, NULL}, {"cloudtrail", &trail, NULL}};
    int code = EXIT_OK;
    struct err err;
    unsigned char public_key[SIGN_PUBLIC_BYTES];
    const char *path = word_of(cli, flags, ARRAY_LEN(flags), "verify needs a FILE", &code);
    int of_trail = EXIT_OK;
    AUTO_FREE char *bytes = NULL;
    size_t len = 0;
    if (!path)
        return code;
    if ((key && read_key(key, public_key, &err) != 0) || file_read(path, BUNDLE_BYTES_MAX, &bytes, &len, &err) != 0)
        return cli_error(cli, &err);
    struct bundle_report r;
    bundle_check(bytes, len, key ? public_key : NULL, &r);
    print_check(cli, &r);
    code = bundle_is_good(&r) ? EXIT_OK : EXIT_PROOF;
    if (trail && r.bundle)
        of_trail = check_trail(cli, &r, trail);
    code = of_trail != EXIT_OK ? of_trail : code;
    bundle_report_done(&r);
    return code;
}

int cli_verb_report(struct cli *cli)
{
    const char *html = NULL;
    const struct cli_flag flags[] = {{"html", &html, NULL}};
    int code = EXIT_OK;
    struct err err;
    const char *path = word_of(cli, flags, ARRAY_LEN(flags), "report needs a BUNDLE file", &code);
    AUTO_FREE char *bytes = NULL;
    size_t len = 0;
    if (!path)
        return code;
    if (!html)
        return cli_usage(cli, "report needs --html FILE");
    if (file_read(path, BUNDLE_BYTES_MAX, &bytes, &len, &err) != 0)
        return cli_error(cli, &err);
    struct bundle_report r;
    bundle_check(bytes, len, NULL, &r);
    code = r.bundle ? write_html(cli, &r, html) : EXIT_PROOF;
    puts(r.text);
    if (code == EXIT_OK && json_array_size(r.problems))
        code = EXIT_PROOF;
    bundle_report_done(&r);
    return code;
}

/* ---- keys ---- */
int cli_verb_keys(struct cli *cli)
{
    const char *words[1];
    size_t count = 0;
    int code = cli_parse(cli, NULL, 0, words, 0, &count);
    struct err err;
    if (code != EXIT_OK)
        return code;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *sealing = NULL, *signing = NULL;
    if ((code = get_json(cli, "/v1/sealing-key", &sealing)) != EXIT_OK ||
        (code = get_json(cli, "/v1/signing-key", &signing)) != EXIT_OK)
        return code;
    if (cli_is_json(cli)) {
        json_auto_t *both = json_make("{s:O,s:O}", "sealing", sealing, "signing", signing);
        cli_print_value(cli, both);
        return EXIT_OK;
    }
    printf("sealing  %s  %s  (credentials are sealed to it; epoch %s)\n", json_str_at(sealing, "kem"),
           json_str_at(sealing, "public"), json_str_at(sealing, "epoch"));
    printf("signing  %s  %s  (evidence is signed with it; key %s)\n", json_str_at(signing, "alg"),
           json_str_at(signing, "public_key"), json_str_at(signing, "key_id"));
    return EXIT_OK;
}
