/* handover_report: what was done, how sure we are of each part, and how to leave.   Process: FAQ. No call to AWS, no
 * undo. Compiled only from what the steps left: nothing is claimed here that no step has seen. */
#include "worker/steps/human.h"
#include "worker/steps/undo_report.h"

/* One line per finished step, in the order of the process. New reference. */
static json_t *list_steps(struct step *s)
{
    json_t *lines = json_array();
    for (size_t i = 0; step_defs[i]; i++) {
        const json_t *result = step_result_of(s, step_defs[i]->name);
        if (!result)
            continue;
        json_t *line = json_make("{s:s,s:s,s:s}", "step", step_defs[i]->name, "item", step_defs[i]->item, "grade",
                                 json_str_at(result, "grade"));
        static const char *const kept[] = {"evidence", "attested", "warnings"};
        for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
            if (json_object_get(result, kept[k]))
                json_put(line, kept[k], json_deep_copy(json_object_get(result, kept[k])));
        }
        json_array_append_new(lines, line);
    }
    return lines;
}

static json_t *count_grades(struct step *s)
{
    json_t *counts = json_object();
    for (size_t i = 0; step_defs[i]; i++) {
        const char *grade = json_str_at(step_result_of(s, step_defs[i]->name), "grade");
        if (grade[0])
            json_put_int(counts, grade, json_int_at(counts, grade) + 1);
    }
    return counts;
}

/* A small fact of a step, JSON null when it has none. New reference. */
static json_t *fact(struct step *s, const char *step_name, const char *path)
{
    const json_t *value = json_at(step_result_of(s, step_name), path);
    return json_copy_or_null(value);
}

static json_t *list_roles(struct step *s)
{
    static const struct {
        const char *step, *name_var;
    } roles[] = {
        {"role_cmp", "roles.cmp.name"},
        {"role_cloudhealth", "roles.cloudhealth.name"},
        {"role_awsadmin", "roles.awsadmin.name"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (step_result_of(s, roles[i].step))
            json_array_append_new(list, json_make("{s:s,s:o}", "name", step_var(s, roles[i].name_var), "arn",
                                                  fact(s, roles[i].step, "role.arn")));
    }
    return list;
}

static json_t *exposure(struct step *s)
{
    json_t *opened = fact(s, "root_mfa_handover", "exposure_opened_ms"),
           *closed = fact(s, "root_mfa", "exposure_closed_ms");
    int64_t ms = json_is_integer(opened) && json_is_integer(closed)
                     ? json_integer_value(closed) - json_integer_value(opened)
                     : 0;
    return json_make("{s:o,s:o,s:I}", "opened_ms", opened, "closed_ms", closed, "ms", (json_int_t)(ms > 0 ? ms : 0));
}

/* What stays behind on purpose, as the steps list it. New reference. */
static json_t *list_remains(struct step *s)
{
    json_t *all = json_array();
    for (size_t i = 0; step_defs[i]; i++)
        json_array_extend(all, json_object_get(step_result_of(s, step_defs[i]->name), "remains"));
    return all;
}

/* New reference. */
static json_t *how_to_leave(struct step *s)
{
    return json_make(
        "[s,s,s,s]",
        step_text(
            s,
            "Ask us, or run `orgimport undo %s`: the program removes what it made and asks people to give back the "
            "root address, password and second factor.",
            json_str_at(step_import(s), "id")),
        "The roles can be deleted in IAM at any time; our tools stop seeing the account at once and nothing of yours "
        "depends on them.",
        "The cost report and its bucket hold your own billing history: keep them, or delete the report first and the "
        "bucket then.",
        "The payment method and the tax registration go back on the billing pages, by whoever holds the root user "
        "then.");
}

static const char *headline(struct step *s, const char *verdict)
{
    const char *customer = json_str_or(step_import(s), "customer.name", step_var(s, "account_id"));
    if (str_eq(verdict, "PROVEN"))
        return step_text(
            s,
            "%s is imported. The organization differs from before by exactly what was announced, and by nothing else.",
            customer);
    return step_text(
        s,
        "%s is imported. The organization also differs in ways that no step announced; an operator looked at them and "
        "accepted them: %s",
        customer, json_str_at(step_result_of(s, "fingerprint_after"), "accepted.reason"));
}

static enum step_result run(struct step *s)
{
    if (step_is_undo(s))
        return undo_report(s);
    const json_t *after = step_result_of(s, "fingerprint_after");
    const char *verdict = json_str_at(after, "verdict");
    json_t *report = json_make(
        "{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "import", json_str_at(step_import(s), "id"), "account",
        step_var(s, "account_id"), "verdict", verdict, "organization", fact(s, "org_identify", "organization_id"),
        "before", fact(s, "fingerprint_before", "root"), "after", fact(s, "fingerprint_after", "root"), "accepted",
        fact(s, "fingerprint_after", "proof.accepted"), "exposure", exposure(s), "roles", list_roles(s), "grades",
        count_grades(s), "steps", list_steps(s), "how_to_leave", how_to_leave(s));
    json_put(report, "cost_report",
             json_make("{s:s,s:s,s:o}", "name", step_var(s, "report"), "bucket", step_var(s, "bucket"), "delivery",
                       fact(s, "cur_report", "delivery")));
    json_put(report, "access_retired",
             json_make("{s:o,s:o,s:o}", "key", fact(s, "credential_retire", "key"), "proof",
                       fact(s, "credential_retire", "proof"), "closing_writes",
                       fact(s, "credential_retire", "closing")));
    json_put(report, "remains", list_remains(s));
    step_set_str(s, "summary", headline(s, verdict));
    step_set_str(s, "verdict", verdict);
    step_set(s, "report", report);
    return STEP_DONE;
}

const struct step_def step_handover_report = {
    .name = "handover_report",
    .item = "FAQ",
    .run = run,
    .runs_in_undo = true,
    .uses = "access_handover,org_identify,admin_access,preflight,fingerprint_before,mailbox_ready,root_email,root_mfa_"
            "handover,"
            "readiness,root_password,root_mfa,role_cmp,role_cloudhealth,role_awsadmin,partner_program,payment_method,"
            "tax_profile,"
            "org_email_verify,cur_enabled,cur_bucket,cur_report,fingerprint_after,credential_retire",
    .version = 1,
    .only_looks = true,
};
