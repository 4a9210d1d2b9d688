#include "dispatcher/planner/undo_plan.h"

#include "dispatcher/planner/undo_dag.h"

struct making {
    const json_t *import, *doc;
    const json_t *step; /* at work */
    json_t *removes, *people, *remains;
};

static const char *var(const struct making *m, const char *path)
{
    return json_str_at(json_object_get(m->doc, "vars"), path);
}

static const json_t *result(const struct making *m)
{
    return json_object_get(m->step, "result");
}

static const char *name(const struct making *m)
{
    return json_str_at(m->step, "name");
}

/* The step came to its end at least once: it has a grade. */
static bool is_done(const struct making *m)
{
    return *json_str_at(result(m), "grade") != 0;
}

static bool was_there(const struct making *m)
{
    return is_done(m) && json_has(result(m), "created") && !json_bool_at(result(m), "created");
}

static void removes(const struct making *m, json_t *what, const char *how)
{
    (void)json_array_append_new(m->removes, json_make("{s:s, s:o, s:s}", "step", name(m), "what", what, "how", how));
}

static void people(const struct making *m, const char *party, const char *title)
{
    (void)json_array_append_new(m->people,
                                json_make("{s:s, s:s, s:s}", "step", name(m), "party", party, "title", title));
}

static void remains(const struct making *m, json_t *what, const char *owner, json_t *command)
{
    (void)json_array_append_new(m->remains, json_make("{s:s, s:o, s:s, s:o}", "step", name(m), "what", what, "owner",
                                                      owner, "command", command ? command : json_null()));
}

/* ---- Step by step ---- */
static void plan_role(const struct making *m, const char *which)
{
    const json_t *role = json_object_get(json_object_get(json_object_get(m->doc, "vars"), "roles"), which);
    const char *role_name = json_str_at(role, "name");
    if (was_there(m)) {
        remains(m, json_sprintf("role %s: it was there before this import; only what we hung on it goes", role_name),
                "customer", json_sprintf("aws iam delete-role --role-name %s", role_name));
        return;
    }
    removes(m, json_sprintf("role %s with its policies", role_name),
            "only while its id, trust, policies and tags are as we made them; else it stays and is listed");
}

static void plan_role_cmp(const struct making *m)
{
    plan_role(m, "cmp");
}

static void plan_role_cloudhealth(const struct making *m)
{
    plan_role(m, "cloudhealth");
}

static void plan_role_awsadmin(const struct making *m)
{
    plan_role(m, "awsadmin");
}

static void plan_bucket(const struct making *m)
{
    const char *bucket = var(m, "bucket");
    if (was_there(m)) {
        remains(m, json_sprintf("bucket %s: it was there before this import; our statements leave its policy", bucket),
                "customer", json_sprintf("aws s3 rb s3://%s", bucket));
        return;
    }
    removes(m, json_sprintf("bucket %s", bucket),
            "only while it is empty and nobody else uses it: delivered reports are the customer's billing history and "
            "stay");
}

static void plan_report(const struct making *m)
{
    const char *report = var(m, "report");
    if (was_there(m))
        remains(m, json_sprintf("report %s: it was there before this import", report), "customer",
                json_sprintf("aws cur delete-report-definition --region us-east-1 --report-name %s", report));
    else
        removes(m, json_sprintf("cost report %s", report),
                "only while its definition and tags are as we made them; what it delivered stays");
}

static void plan_tax(const struct making *m)
{
    if (json_is_object(json_at(json_object_get(m->doc, "vars"), "tax.entry")))
        removes(m, json_string("our tax registration"),
                "the one that stood there before comes back, or none; only while it is still ours");
    else if (is_done(m) && !str_eq(json_str_at(result(m), "grade"), "already"))
        people(m, "customer+operator", "Set the earlier tax address of the management account again");
}

static void plan_partner(const struct making *m)
{
    const char *id = json_str_at(result(m), "relationship");
    if (*id && !was_there(m))
        remains(m, json_sprintf("partner relationship %s: a contract is not ended by a program", id), "operator",
                json_sprintf("aws partnercentral-channel delete-relationship --catalog %s --identifier %s "
                             "--program-management-account-identifier %s",
                             json_str_or(json_object_get(json_object_get(m->doc, "vars"), "partner"), "catalog", "AWS"),
                             id, json_str_at(json_object_get(m->doc, "vars"), "partner.program_management_account")));
    else if (!*id)
        people(m, "operator", "Ask AWS's partner team to end the relationship");
}

static void plan_root_mfa(const struct making *m)
{
    people(m, "customer+operator", "Register the customer's second factor again beside the operator's");
}

static void plan_root_email(const struct making *m)
{
    if (!str_eq(json_str_at(result(m), "grade"), "already"))
        people(m, "customer+operator", "Give the root email address back");
}

static void plan_root_password(const struct making *m)
{
    people(m, "customer", "Set your own root password");
}

static void plan_root_mfa_handover(const struct making *m)
{
    people(m, "customer", "Remove the operator's second factor from the root user");
}

static void plan_payment(const struct making *m)
{
    people(m, "customer+operator", "Make the customer's payment method the default again");
}

static void plan_email_verify(const struct making *m)
{
    if (is_done(m))
        people(m, "customer", "Verify the organization's former email address again");
}

static void plan_access(const struct making *m)
{
    if (!json_bool_at(m->import, "has_credential") && str_eq(json_str_at(m->doc, "access.method"), "sealed_key"))
        people(m, "customer", "Hand over an administrator's access key for the management account once more");
}

static void plan_retire(const struct making *m)
{
    bool is_role = str_eq(json_str_at(m->doc, "access.method"), "role");
    const char *role = json_str_or(json_object_get(m->doc, "vars"), "bootstrap_role", "the role");
    if (is_role)
        remains(m, json_sprintf("role %s, through which we worked; we hold no credential of it", role), "customer",
                json_sprintf("aws iam delete-role --role-name %s", role));
    else
        removes(m, json_string("the handed-over access key"), "last of all; the user itself stays and is listed");
}

static const struct {
    const char *step;
    void (*plan)(const struct making *m);
} plans[] = {
    {"access_handover", plan_access},
    {"role_cmp", plan_role_cmp},
    {"root_email", plan_root_email},
    {"role_cloudhealth", plan_role_cloudhealth},
    {"root_mfa", plan_root_mfa},
    {"role_awsadmin", plan_role_awsadmin},
    {"root_password", plan_root_password},
    {"root_mfa_handover", plan_root_mfa_handover},
    {"payment_method", plan_payment},
    {"org_email_verify", plan_email_verify},
    {"tax_profile", plan_tax},
    {"partner_program", plan_partner},
    {"cur_bucket", plan_bucket},
    {"cur_report", plan_report},
    {"credential_retire", plan_retire},
};

static void plan_step(struct making *m, const json_t *step)
{
    m->step = step;
    for (size_t i = 0; i < ARRAY_LEN(plans); i++)
        if (str_eq(plans[i].step, name(m)))
            plans[i].plan(m);
}

static const char *why_not(const json_t *import)
{
    const char *state = json_str_at(import, "state");
    if (str_eq(state, "undone"))
        return "it is undone already";
    if (str_eq(state, "undoing") || (str_eq(state, "paused") && json_bool_at(import, "is_undoing")))
        return "it is being undone";
    return NULL;
}

json_t *undo_plan(const json_t *import, const struct playbook *p)
{
    struct making m = {.import = import,
                       .doc = json_at(import, "doc"),
                       .removes = json_array(),
                       .people = json_array(),
                       .remains = json_array()};
    const json_t *steps = json_at(import, "steps");
    json_t *order = json_array();
    uint8_t indexes[RECORD_STEPS_MAX];
    size_t count = undo_order(&p->undo, indexes);
    for (size_t i = 0; i < count; i++) {
        const json_t *step = json_array_get(steps, indexes[i]);
        if (!json_bool_at(step, "started") && !(p->undo_again >> indexes[i] & 1))
            continue;
        plan_step(&m, step);
        (void)json_array_append_new(order, json_string(json_str_at(step, "name")));
    }
    const char *why = why_not(import);
    json_t *plan = json_make(
        "{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:s}", "import_id", json_str_at(import, "id"), "external_ref",
        json_str_at(m.doc, "external_ref"), "state", json_str_at(import, "state"), "possible", (int)!why, "removes",
        m.removes, "people", m.people, "remains", m.remains, "order", order, "note",
        "Each removal is checked live against ownership before it happens: what is not ours any more, or was changed "
        "by "
        "others, stays and is listed with its owner and the command. At the end the organization is compared with the "
        "fingerprint before.");
    if (why)
        json_put_str(plan, "why_not", why);
    return plan;
}
