/* fingerprint_after: the organization differs exactly by what the steps declared.   Process: FAQ.
 * Reads only. Rules and outcomes: common/proof/verdict.h. A change that nobody's event explains is waited for, then
 * holds the import until an operator accepts it with a reason; the verdict stays what it is. What our own software did
 * beyond its ledger halts the fleet. */
#include "common/aws/services/account.h"
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/features.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"
#include "common/proof/fingerprint_words.h"
#include "common/proof/verdict.h"
#include "worker/steps/bucket_settings.h"
#include "worker/steps/fingerprint_read.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/proof_evidence.h"
#include "worker/steps/undo_proof.h"
#include "worker/steps/undo_scope.h"

#define DIFFERENCES_SHOWN_MAX 40
#define WARNINGS_MAX 5

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

/* ---- The question ---- */
static void add_words(json_t *words, const json_t *differences)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)differences, i, one) {
        if (json_array_size(words) >= DIFFERENCES_SHOWN_MAX)
            return;
        AUTO_STR struct str text;
        str_init(&text, 1024);
        fingerprint_words(one, &text);
        if (*json_str_at(one, "why"))
            str_addf(&text, " (%s)", json_str_at(one, "why"));
        json_array_append_new(words, json_string(text.data));
    }
}

static void add_rogue_words(struct step *s, json_t *words, const json_t *rogue)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)rogue, i, one)
        if (json_array_size(words) < DIFFERENCES_SHOWN_MAX)
            json_array_append_new(words,
                                  json_string(step_text(s, "Our session did %s, which the ledger lacks (event %s)",
                                                        json_str_at(one, "name"), json_str_at(one, "event_id"))));
}

/* All that is not proven and not attributed. New reference. */
static json_t *open_of(const json_t *verdict)
{
    json_t *open = json_array();
    json_array_extend(open, json_object_get(verdict, "rogue"));
    json_array_extend(open, json_object_get(verdict, "disrupted"));
    json_array_extend(open, json_object_get(verdict, "unexplained"));
    return open;
}

/* What the operator is asked about. New reference. */
static json_t *question(struct step *s, const json_t *verdict, const json_t *open)
{
    json_t *words = json_array();
    char digest[65];
    add_rogue_words(s, words, json_object_get(verdict, "rogue"));
    add_words(words, json_object_get(verdict, "disrupted"));
    add_words(words, json_object_get(verdict, "unexplained"));
    json_digest(open, digest); /* accepting answers these differences and no others */
    return json_make("{s:o,s:i,s:i,s:s,s:s,s:s}", "differences", words, "count", (int)json_array_size(open), "foreign",
                     (int)json_array_size(json_object_get(verdict, "foreign")), "digest", digest, "before",
                     json_str_at(verdict, "before"), "after", json_str_at(verdict, "after"));
}

/* ---- The result ---- */
static void warn(struct step *s, const json_t *verdict)
{
    size_t i = 0, touched = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(verdict, "unstable"), i, one)
        step_warn(s, "section %s would not hold still while we read it", json_str_at(one, "section"));
    json_array_foreach (json_object_get(verdict, "foreign"), i, one)
        if (json_bool_at(one, "touched") && ++touched <= WARNINGS_MAX)
            step_warn(s, "%s %s, which is ours, was changed by %s", json_str_at(one, "section"),
                      json_str_at(one, "key"), json_str_at(one, "events.0.who"));
}

/* `patches`: kept in full, so that a stranger can repeat before + patches = after. */
static void set_verdict(struct step *s, const json_t *after, const json_t *patches, json_t *verdict, bool is_accepted)
{
    const json_t *accept = step_signal(s, "accept");
    step_set_str(s, "verdict", step_text(s, "%s%s", json_str_at(verdict, "verdict"), is_accepted ? " (accepted)" : ""));
    if (is_accepted)
        step_set(s, "accepted",
                 json_make("{s:s,s:s}", "by", json_str_at(accept, "by"), "reason", json_str_at(accept, "reason")));
    step_set(s, "proof", json_incref(verdict));
    step_set(s, "patches", json_incref((json_t *)(uintptr_t)patches));
    step_set(s, "fingerprint", json_incref((json_t *)(uintptr_t)after));
    step_set_str(s, "root", json_str_at(after, "root"));
    warn(s, verdict);
}

/* ---- The judgement ---- */
/* The reading of before lasted a while: what happened meanwhile may or may not be in it. */
static json_t *with_began(struct step *s, const json_t *before)
{
    json_t *copy = step_keep(s, json_copy((json_t *)(uintptr_t)before));
    int64_t began_ms = json_int_at(step_result_of(s, "fingerprint_before"), "began_ms");
    if (began_ms)
        json_put_int(copy, "began_ms", began_ms);
    return copy;
}

/* The time of the fingerprint itself is that of its first reading; what we judge was read later, and first seen now. */
static json_t *with_taken(struct step *s, const json_t *after)
{
    json_t *copy = step_keep(s, json_copy((json_t *)(uintptr_t)after));
    json_put_int(copy, "taken_ms", (int64_t)step_now(s, step_text(s, "read/%.16s", json_str_at(after, "root"))));
    return copy;
}

static enum step_result gather(struct step *s, struct verdict_input *in)
{
    in->account_id = step_var(s, "account_id");
    in->our_session = json_str_at(step_import(s), "id");
    in->brackets = step_keep(s, step_is_undo(s) ? json_array() : evidence_brackets(s)); /* judged once, forwards */
    in->writes = step_writes(s);
    if (!step_is_undo(s)) /* what lay beside the sections was ours, and the undo says itself what of it stays */
        TRY(evidence_extra(s, &in->extra));
    TRY(evidence_keys(s, &in->our_keys));
    json_t *first = step_keep(s, verdict_of(in)); /* says where to look */
    return evidence_events(s, first, &in->events);
}

static enum step_result ask(struct step *s, const json_t *verdict, const json_t *open)
{
    size_t count = json_array_size(open), foreign = json_array_size(json_object_get(verdict, "foreign"));
    const json_t *details = step_keep(s, question(s, verdict, open));
    const char *first = json_str_at(details, "differences.0");
    step_set_str(s, "verdict", json_str_at(verdict, "verdict")); /* shown while the import is held */
    if (!str_eq(json_str_at(verdict, "verdict"), verdict_name(VERDICT_DISRUPTED)))
        return step_hold(
            s, ERR_FINGERPRINT_UNEXPLAINED, json_incref((json_t *)(uintptr_t)details),
            "%zu difference%s that no step declared and nobody's event explains (%zu explained); first: %.120s", count,
            count == 1 ? "" : "s", foreign, first);
    TRY(step_halt_fleet(
        s, json_str_at(details, "digest"),
        step_text(s, "%s of %s: %.300s", verdict_name(VERDICT_DISRUPTED), step_var(s, "account_id"), first)));
    return step_hold(s, ERR_FINGERPRINT_DISRUPTED, json_incref((json_t *)(uintptr_t)details),
                     "%zu finding%s against our own work; first: %.160s", count, count == 1 ? "" : "s", first);
}

static enum step_result run(struct step *s)
{
    const json_t *before = json_object_get(step_result_of(s, "fingerprint_before"), "fingerprint"), *after = NULL;
    if (undo_has_nothing(s)) {
        step_set_str(s, "verdict", "NOTHING CHANGED");
        return STEP_DONE;
    }
    if (!json_is_object(before))
        return step_fail(s, ERR_CORRUPT, "the fingerprint before is missing");
    TRY(fingerprint_read(s, &after));

    json_t *patches =
        step_keep(s, step_is_undo(s) ? undo_proof_patches(s, before, after) : evidence_patches(s, before));
    add_expired(patches, before, after);
    struct verdict_input in = {.before = with_began(s, before), .after = with_taken(s, after), .patches = patches};
    TRY(gather(s, &in));
    json_t *verdict = step_keep(s, verdict_of(&in));
    const json_t *open = step_keep(s, open_of(verdict));
    if (step_is_undo(s)) /* also while it is held */
        step_set(s, "remains", undo_root_remains(s, before, after, in.events));
    if (json_array_size(open) == 0) {
        set_verdict(s, after, patches, verdict, false);
        return STEP_DONE;
    }
    if (json_array_size(json_object_get(verdict, "rogue")) == 0) /* rogue events are there already */
        TRY(evidence_wait(s, json_array_size(open)));
    TRY(ask(s, verdict, open));
    in.accepted = open;
    set_verdict(s, after, patches, step_keep(s, verdict_of(&in)), true);
    return STEP_DONE;
}

const struct step_def step_fingerprint_after = {
    .name = "fingerprint_after",
    .item = "FAQ",
    .run = run,
    .runs_in_undo = true,
    .ops = OPS(FINGERPRINT_OPS, BUCKET_LOOK_OPS, &cloudtrail_lookup_events),
    .uses = "access_handover,org_identify,admin_access,preflight,fingerprint_before,mailbox_ready,root_email,root_mfa_"
            "handover,"
            "readiness,root_password,root_mfa,role_cmp,role_cloudhealth,role_awsadmin,partner_program,payment_method,"
            "tax_profile,"
            "org_email_verify,cur_enabled,cur_bucket,cur_report,fingerprint_after",
    .version = 1,
    .only_looks = true,
    .sees_writes = true,
};
