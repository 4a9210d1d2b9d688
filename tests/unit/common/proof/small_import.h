/* A small import that ran to its end, as queue_get() and the ledger would give it: what the tests of the bundle sign,
 * check and spoil. */
#pragma once

#include "common/codec/json.h"
#include "common/proof/bundle.h"
#include "common/proof/fingerprint.h"
#include "common/proof/ledger_chain.h"
#include "common/proof/verdict.h"

struct small_import {
    json_t *import, *lines, *heads, *playbook, *rehearsal;
    int64_t now_ms;
    const char *verdict; /* "PROVEN" unless the test says otherwise */
};

static inline json_t *small_append(struct small_import *w, const char *step, json_t *line)
{
    char hash[65];
    json_put_str(line, "step", step);
    json_put_int(line, "n", json_int_at(json_object_get(w->heads, step), "n") + 1);
    json_put_str(line, "prev", json_str_at(json_object_get(w->heads, step), "hash"));
    json_put_int(line, "at_ms", w->now_ms += 1000);
    if (*step && json_int_at(line, "n") == 1) {
        json_digest(json_object_get(w->import, "doc"), hash);
        json_put_str(line, "import", hash);
    }
    ledger_line_hash(line, hash);
    json_put_str(line, "hash", hash);
    json_put(w->heads, step, json_make("{s:I,s:s}", "n", (json_int_t)json_int_at(line, "n"), "hash", hash));
    json_array_append_new(w->lines, line);
    return line;
}

/* `facts` taken; the step's last line says that it ended with them. */
static inline void small_done(struct small_import *w, const char *step, const char *grade, json_t *facts)
{
    char digest[65];
    json_t *one = NULL;
    size_t i = 0;
    json_put_str(facts, "grade", grade);
    json_digest(facts, digest);
    small_append(w, step,
                 json_make("{s:s,s:{s:s,s:s,s:s}}", "kind", "outcome", "result", "outcome", "D", "grade", grade,
                           "result", digest));
    json_array_foreach (json_object_get(w->import, "steps"), i, one)
        if (str_eq(json_str_at(one, "name"), step)) {
            json_put_str(one, "state", "DONE");
            json_put(one, "result", facts);
            return;
        }
    json_decref(facts);
}

static inline void small_wrote(struct small_import *w, const char *step, const char *key, const char *op)
{
    small_append(w, step,
                 json_make("{s:s,s:s,s:s,s:s,s:{s:s}}", "kind", "intent", "key", key, "op", op, "args", "00", "with",
                           "RoleName", "acme_cmp"));
    small_append(w, step,
                 json_make("{s:s,s:s,s:s,s:s,s:s,s:{s:s}}", "kind", "answer", "key", key, "op", op, "args", "00",
                           "request_id", "req-1", "result", "arn", "arn:aws:iam::111122223333:role/acme_cmp"));
}

static inline json_t *small_print(bool is_after)
{
    json_t *print = json_make("{s:{s:{s:{s:s}},s:{s:{s:s}},s:{s:{s:s}}},s:I}", "sections", "iam.roles", "Admin", "path",
                              "/", "accounts", "111122223333", "name", "<script>alert(1)</script>", "tree", "r-1",
                              "name", "Root", "taken_ms", (json_int_t)1700000000000 + is_after);
    if (is_after)
        json_put(json_object_get(json_object_get(print, "sections"), "iam.roles"), "acme_cmp",
                 json_make("{s:s}", "path", "/"));
    fingerprint_seal(print);
    return print;
}

static inline json_t *small_patches(void)
{
    return json_make("[{s:s,s:s,s:s,s:{s:s},s:s}]", "section", "iam.roles", "key", "acme_cmp", "op", "add", "value",
                     "path", "/", "step", "role_cmp");
}

#define SMALL_STEP(id, item, kind, party, ...)                                                                         \
    json_make("{s:s,s:s,s:s,s:s,s:s,s:o}", "id", id, "item", item, "title", "Do " id, "kind", kind, "party", party,    \
              "needs", json_make(__VA_ARGS__))

static inline void small_frame(struct small_import *w)
{
    static const char *const names[] = {"access_handover",   "fingerprint_before", "role_cmp",
                                        "root_mfa_handover", "root_mfa",           "fingerprint_after",
                                        "credential_retire", "role_optional"};
    w->playbook =
        json_make("{s:s,s:i,s:[o,o,o,o,o,o,o,o]}", "name", "small", "version", 1, "steps",
                  SMALL_STEP("access_handover", "1.2", "human", "customer", "[]"),
                  SMALL_STEP("fingerprint_before", "FAQ", "check", "orgimport", "[s]", "access_handover"),
                  SMALL_STEP("role_cmp", "2.3", "aws", "orgimport", "[s]", "fingerprint_before"),
                  SMALL_STEP("root_mfa_handover", "1.4", "human", "customer", "[s]", "fingerprint_before"),
                  SMALL_STEP("root_mfa", "2.2", "human", "operator", "[s]", "root_mfa_handover"),
                  SMALL_STEP("fingerprint_after", "FAQ", "check", "orgimport", "[s,s]", "role_cmp", "root_mfa"),
                  SMALL_STEP("credential_retire", "FAQ", "aws", "orgimport", "[s]", "fingerprint_after"),
                  SMALL_STEP("role_optional", "2.4", "aws", "orgimport", "[s]", "fingerprint_before"));
    json_t *doc = json_make("{s:s,s:s,s:I,s:{s:s},s:{s:s},s:[]}", "id", "imp_00small", "playbook", "small@1",
                            "created_ms", (json_int_t)1700000000000, "customer", "name", "Acme <b>GmbH</b>",
                            "organization", "management_account_id", "111122223333", "steps");
    json_t *steps = json_array();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_array_append_new(json_object_get(doc, "steps"), json_string(names[i]));
        json_array_append_new(steps, json_make("{s:s,s:s,s:n}", "name", names[i], "state", "PENDING", "result"));
    }
    json_put_str(json_array_get(steps, 7), "state", "SKIPPED");
    w->import = json_make("{s:s,s:s,s:I,s:I,s:o,s:o}", "id", "imp_00small", "state", "completed", "created_ms",
                          (json_int_t)1700000000000, "since_ms", (json_int_t)1700000099000, "doc", doc, "steps", steps);
}

static inline void small_root(struct small_import *w)
{
    char root[65];
    json_auto_t *counts = ledger_counts(w->heads);
    ledger_root(w->heads, root);
    small_append(w, "",
                 json_make("{s:s,s:s,s:s,s:O,s:s,s:s}", "kind", "root", "what", "root", "root", root, "heads", counts,
                           "to", "soc@acme.example", "by", "ann"));
}

/* It foretold one write more than there will be, and no failure. */
static inline json_t *small_rehearsal(void)
{
    return json_make("{s:{s:I,s:{s:s,s:s,s:s,s:s,s:[]},s:i,s:[s,s,s],s:i,s:i}}", "predicted", "made_ms",
                     (json_int_t)1699999999000, "end", "state", "completed", "step", "", "code", "", "verdict",
                     "PROVEN", "findings", "reads", 41, "writes", "credential_retire iam:DeleteAccessKey retire",
                     "role_cmp iam:CreateRole create", "role_cmp iam:TagRole tag", "failures", 0, "ms", 2500);
}

static inline void small_begin(struct small_import *w)
{
    char digest[65];
    json_auto_t *said = json_make("{s:s,s:s}", "by", "bob", "note", "here \" you are");
    json_digest(said, digest);
    *w = (struct small_import){.lines = json_array(), .heads = json_object(), .now_ms = 1700000000000};
    w->verdict = "PROVEN";
    w->rehearsal = small_rehearsal();
    small_frame(w);
    small_append(w, "access_handover", json_make("{s:s,s:{s:s}}", "kind", "task", "result", "title", "Let us in"));
    small_append(w, "",
                 json_make("{s:s,s:s,s:s,s:s,s:i,s:s}", "kind", "signal", "what", "done", "by", "bob", "note",
                           "here \" you are", "target", 0, "args", digest));
    small_append(w, "access_handover", json_make("{s:s,s:s,s:O}", "kind", "signal", "key", "done", "result", said));
    small_done(w, "access_handover", "probed", json_make("{s:s}", "account", "111122223333"));
    json_t *before = small_print(false);
    small_done(w, "fingerprint_before", "probed",
               json_make("{s:o,s:s}", "fingerprint", before, "root", json_str_at(before, "root")));
    small_wrote(w, "role_cmp", "create", "iam:CreateRole");
    small_done(w, "role_cmp", "probed",
               json_make("{s:{s:s}}", "role", "arn", "arn:aws:iam::111122223333:role/acme_cmp"));
    small_root(w);
    small_done(
        w, "root_mfa_handover", "cloudtrail",
        json_make("{s:I,s:{s:s}}", "exposure_opened_ms", (json_int_t)1700000010000, "evidence", "event_id", "e-1"));
    small_done(w, "root_mfa", "probed", json_make("{s:I}", "exposure_closed_ms", (json_int_t)1700000070000));
}

/* `after`, `patches` and `proof` are taken. */
static inline void small_end(struct small_import *w, json_t *after, json_t *patches, json_t *proof)
{
    small_done(w, "fingerprint_after", "probed",
               json_make("{s:s,s:o,s:o,s:s,s:o}", "verdict", w->verdict, "fingerprint", after, "patches", patches,
                         "root", json_str_at(after, "root"), "proof", proof));
    small_wrote(w, "credential_retire", "retire", "iam:DeleteAccessKey");
    small_done(w, "credential_retire", "probed", json_make("{s:[{s:s}]}", "closing", "op", "iam:DeleteAccessKey"));
}

static inline void small_make(struct small_import *w)
{
    small_begin(w);
    json_t *after = small_print(true), *patches = small_patches();
    json_auto_t *before = small_print(false);
    small_end(w, after, patches, verdict_make(before, after, patches, NULL));
}

static inline json_t *small_payload(const struct small_import *w)
{
    return bundle_payload(&(struct bundle_parts){
        .import = w->import, .lines = w->lines, .playbook = w->playbook, .rehearsal = w->rehearsal});
}

static inline void small_free(struct small_import *w)
{
    json_decref(w->import);
    json_decref(w->lines);
    json_decref(w->heads);
    json_decref(w->playbook);
    json_decref(w->rehearsal);
}
