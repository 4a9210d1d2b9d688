/* The envelope: bytes, signature, shape; and the result in one line. What the parts say is bundle_check_parts.c. */
#include "common/proof/bundle_check.h"

#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "common/crypto/sign.h"
#include "common/proof/bundle_check_parts.h"

#include <stdio.h>

#define PROBLEMS_MAX 100

void bundle_problem(json_t *problems, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    if (json_array_size(problems) >= PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_t *value = json_string(text);
    (void)json_array_append_new(problems, value ? value : json_string("a text that is not UTF-8"));
}

/* Members are exactly those of the comma list: an unknown one would be something nobody checked. */
static void check_members(const json_t *object, const char *what, const char *list, json_t *problems)
{
    const char *name = NULL;
    json_t *value = NULL;
    size_t count = 0;
    if (!json_is_object(object)) {
        bundle_problem(problems, "%s is missing", what);
        return;
    }
    json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
        count++;
        if (!str_in_list(list, name))
            bundle_problem(problems, "%s has a member `%.40s` that is not in the format", what, name);
    }
    size_t want = 1;
    for (const char *p = list; *p; p++)
        want += *p == ',';
    if (count != want)
        bundle_problem(problems, "%s has %zu members instead of %zu", what, count, want);
}

static void check_shape(const json_t *bundle, json_t *problems)
{
    const json_t *payload = json_object_get(bundle, "payload");
    check_members(bundle, "the bundle", "format,payload,signature", problems);
    check_members(json_object_get(bundle, "signature"), "the signature", "alg,key_id,public_key,value", problems);
    check_members(payload, "the payload",
                  "import,playbook,steps,fingerprints,patches,ledger,plan,human_steps,exposure,closing_writes,verdict,"
                  "roots_issued,rehearsal",
                  problems);
    check_members(json_object_get(payload, "import"), "the import", "id,state,created_ms,ended_ms,document", problems);
    check_members(json_object_get(payload, "ledger"), "the ledger", "lines,heads,root", problems);
    check_members(json_object_get(payload, "fingerprints"), "the fingerprints", "before,after", problems);
    if (json_is_object(json_at(payload, "rehearsal.predicted")))
        check_members(json_at(payload, "rehearsal.predicted"), "the prediction", "made_ms,end,reads,writes,failures,ms",
                      problems);
    const json_t *steps = json_object_get(payload, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++)
        check_members(json_array_get(steps, i), "a step", "name,item,kind,title,party,state,result,undo", problems);
    if (!str_eq(json_str_at(bundle, "format"), BUNDLE_FORMAT))
        bundle_problem(problems, "the format is not " BUNDLE_FORMAT);
}

static bool bytes_of(const json_t *signature, const char *member, unsigned char *ret, size_t want)
{
    size_t len = 0;
    AUTO_FREE unsigned char *bytes = crypto_unbase64(json_str_at(signature, member), &len);
    if (!bytes || len != want)
        return false;
    AUTO_FREE char *again = crypto_base64(bytes, len); /* one way to write it, here too */
    memcpy(ret, bytes, len);
    return str_eq(again, json_str_at(signature, member));
}

static void check_signature(struct bundle_report *r, const unsigned char *pinned)
{
    const json_t *signature = json_object_get(r->bundle, "signature");
    unsigned char public_key[SIGN_PUBLIC_BYTES], value[SIGN_BYTES];
    AUTO_STR struct str text;
    str_init(&text, BUNDLE_BYTES_MAX);
    if (!str_eq(json_str_at(signature, "alg"), "Ed25519") ||
        !bytes_of(signature, "public_key", public_key, sizeof public_key) ||
        !bytes_of(signature, "value", value, sizeof value)) {
        bundle_problem(r->problems, "the signature cannot be read");
        return;
    }
    sign_key_id(public_key, r->key_id);
    if (!str_eq(json_str_at(signature, "key_id"), r->key_id))
        bundle_problem(r->problems, "the key is not the one that key_id names");
    bundle_signed_bytes(json_object_get(r->bundle, "payload"), &text);
    r->is_signed = !text.is_over && sign_check(public_key, text.data, text.len, value);
    if (!r->is_signed)
        bundle_problem(r->problems, "the signature does not fit the payload");
    r->is_pinned = r->is_signed && pinned && crypto_equal(public_key, pinned, sizeof public_key);
    if (pinned && r->is_signed && !r->is_pinned)
        bundle_problem(r->problems, "signed by key %s, which is not the one that was given", r->key_id);
}

/* Whatever is not written in the one canonical way was touched by somebody else. */
static void check_bytes(const char *bytes, size_t len, const struct bundle_report *r)
{
    AUTO_STR struct str text;
    str_init(&text, BUNDLE_BYTES_MAX + 1);
    json_canonical(r->bundle, &text);
    str_add_char(&text, '\n');
    if (text.is_over || text.len != len || memcmp(text.data, bytes, len) != 0)
        bundle_problem(r->problems, "the file is not in canonical form: bytes were changed");
}

static const char *verdict_of_bundle(const struct bundle_report *r)
{
    return json_str_or(json_object_get(r->bundle, "payload"), "verdict.verdict", "no verdict");
}

static void say(struct bundle_report *r)
{
    const json_t *payload = json_object_get(r->bundle, "payload");
    size_t n = json_array_size(r->problems);
    if (n) {
        (void)snprintf(r->text, sizeof r->text, "NOT PROVEN: %s%s", json_string_value(json_array_get(r->problems, 0)),
                       n > 1 ? " (and more)" : "");
        return;
    }
    char signer[64];
    (void)snprintf(signer, sizeof signer, r->is_pinned ? "signed by %s" : "consistent, signer unpinned (%s)",
                   r->key_id);
    const char *state = json_str_at(payload, "import.state");
    (void)snprintf(
        r->text, sizeof r->text,
        "%s: %s %s · ledger %zu lines, root %.8s.. · before %.8s.. after %.8s.. · %zu declared changes · %zu "
        "foreign · %s",
        r->is_proven ? verdict_of_bundle(r) : "NOT PROVEN",
        r->is_proven ? json_str_at(payload, "import.id") : verdict_of_bundle(r), state, r->lines,
        json_str_at(payload, "ledger.root"), json_str_or(payload, "verdict.before", "-"),
        json_str_or(payload, "verdict.after", "-"), r->changes, r->foreign, signer);
}

void bundle_check(const char *bytes, size_t len, const unsigned char *public_key, struct bundle_report *ret)
{
    struct err err = {0};
    *ret = (struct bundle_report){.problems = json_array()};
    if (len <= BUNDLE_BYTES_MAX)
        ret->bundle = json_read(bytes, len, 0, &err);
    else
        (void)err_set(&err, ERR_TOO_LARGE, "the file is too large");
    if (!json_is_object(ret->bundle)) {
        bundle_problem(ret->problems, "not a bundle: %s", err.code ? err.text : "no object");
        say(ret);
        return;
    }
    check_bytes(bytes, len, ret);
    check_shape(ret->bundle, ret->problems);
    check_signature(ret, public_key);
    const json_t *payload = json_object_get(ret->bundle, "payload");
    if (json_is_object(payload))
        bundle_check_parts(payload, ret);
    say(ret);
}

void bundle_report_done(struct bundle_report *r)
{
    json_decref(r->problems);
    json_decref(r->bundle);
    *r = (struct bundle_report){0};
}

bool bundle_is_good(const struct bundle_report *r)
{
    return !json_array_size(r->problems) && r->is_pinned && r->is_proven;
}
