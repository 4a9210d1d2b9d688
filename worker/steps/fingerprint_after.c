/* fingerprint_after: the organization differs exactly by what the steps declared.   Process: FAQ.
 * Reads only. What no step declared holds the import until an operator accepts it with a reason; it stays UNEXPLAINED
 * then. */
#include "common/aws/services/account.h"
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/features.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"
#include "common/proof/fingerprint.h"
#include "common/proof/fingerprint_words.h"
#include "worker/steps/fingerprint_read.h"
#include "worker/steps/fingerprint_shape.h"

#define DIFFERENCES_SHOWN_MAX 40

/* All that the finished steps declared, each change with the step that it belongs to. New reference. */
static json_t *declared(struct step *s, const json_t *before)
{
    json_t *patches = json_array();
    for (size_t i = 0; step_defs[i]; i++) {
        const json_t *result = step_result_of(s, step_defs[i]->name);
        if (!result || !step_defs[i]->expects)
            continue;
        json_auto_t *own = step_defs[i]->expects(step_import(s), before, result);
        size_t k = 0;
        json_t *patch = NULL;
        json_array_foreach (own, k, patch)
            json_put_str(patch, "step", step_defs[i]->name);
        json_array_extend(patches, own);
    }
    return patches;
}

/* An open invitation that nobody answered ends by itself: its own date declares that. */
static void add_expired(json_t *patches, const json_t *before, const json_t *after)
{
    const json_t *now = json_at(after, "sections.handshakes");
    const char *id = NULL;
    json_t *one = NULL;
    json_object_foreach ((json_t *)(uintptr_t)json_at(before, "sections.handshakes"), id, one) {
        int64_t expires_ms = json_int_at(one, "expires_ms");
        if (!json_object_get(now, id) && expires_ms > 0 && expires_ms <= json_int_at(after, "taken_ms"))
            shape_remove(patches, "handshakes", id);
    }
}

/* What the operator is asked about. New reference. */
static json_t *question(const json_t *verdict)
{
    const json_t *open = json_object_get(verdict, "unexplained");
    json_t *words = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)open, i, one) {
        if (i >= DIFFERENCES_SHOWN_MAX)
            break;
        AUTO_STR struct str text;
        str_init(&text, 1024);
        fingerprint_words(one, &text);
        json_array_append_new(words, json_string(text.data));
    }
    char digest[65];
    json_digest(open, digest); /* accepting answers these differences and no others */
    return json_make("{s:o,s:i,s:s,s:s,s:s}", "differences", words, "count", (int)json_array_size(open), "digest",
                     digest, "before", json_str_at(verdict, "before"), "after", json_str_at(verdict, "after"));
}

static void warn_unstable(struct step *s, const json_t *verdict)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(verdict, "unstable"), i, one)
        step_warn(s, "section %s would not hold still while we read it", json_str_at(one, "section"));
}

/* `patches`: kept in full, so that a stranger can repeat before + patches = after. */
static void set_verdict(struct step *s, const json_t *after, const json_t *patches, json_t *verdict, bool is_accepted)
{
    const json_t *accept = step_signal(s, "accept");
    step_set_str(s, "verdict", is_accepted ? "UNEXPLAINED (accepted)" : json_str_at(verdict, "verdict"));
    if (is_accepted)
        step_set(s, "accepted",
                 json_make("{s:s,s:s}", "by", json_str_at(accept, "by"), "reason", json_str_at(accept, "reason")));
    step_set(s, "proof", json_incref(verdict));
    step_set(s, "patches", json_incref((json_t *)(uintptr_t)patches));
    step_set(s, "fingerprint", json_incref((json_t *)(uintptr_t)after));
    step_set_str(s, "root", json_str_at(after, "root"));
    warn_unstable(s, verdict);
}

static enum step_result run(struct step *s)
{
    const json_t *before = json_object_get(step_result_of(s, "fingerprint_before"), "fingerprint"), *after = NULL;
    if (!json_is_object(before))
        return step_fail(s, ERR_CORRUPT, "the fingerprint before is missing");
    TRY(fingerprint_read(s, &after));

    json_t *patches = step_keep(s, declared(s, before));
    add_expired(patches, before, after);
    json_t *verdict = step_keep(s, verdict_make(before, after, patches, NULL));
    const json_t *open = json_object_get(verdict, "unexplained");
    size_t count = json_array_size(open);
    if (count == 0) {
        set_verdict(s, after, patches, verdict, false);
        return STEP_DONE;
    }
    step_set_str(s, "verdict", json_str_at(verdict, "verdict")); /* shown while the import is held */
    AUTO_STR struct str first;
    str_init(&first, 200);
    fingerprint_words(json_array_get(open, 0), &first);
    TRY(step_hold(s, ERR_FINGERPRINT_UNEXPLAINED, question(verdict),
                  "%zu difference%s that no step declared; first: %s", count, count == 1 ? "" : "s", first.data));
    json_t *accepted = step_keep(s, verdict_make(before, after, patches, open));
    set_verdict(s, after, patches, accepted, true);
    return STEP_DONE;
}

const struct step_def step_fingerprint_after = {
    .name = "fingerprint_after",
    .item = "FAQ",
    .run = run,
    .ops = OPS(FINGERPRINT_OPS),
    .uses = "access_handover,org_identify,admin_access,preflight,fingerprint_before,mailbox_ready,root_email,root_mfa_"
            "handover,"
            "readiness,root_password,root_mfa,role_cmp,role_cloudhealth,role_awsadmin,partner_program,payment_method,"
            "tax_profile,"
            "org_email_verify,cur_enabled,cur_bucket,cur_report",
    .version = 1,
    .only_looks = true,
};
