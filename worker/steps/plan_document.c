/* From what was foreseen to a document. */
#include "worker/steps/plan_document.h"

#include "worker/steps/ownership.h"
#include "worker/steps/plan_read_set.h"

#include <stdio.h>
#include <string.h>

#define NO_ORGANIZATION_FEATURES                                                                                       \
    "AccessDeniedException,AWSOrganizationsNotInUseException,UnsupportedAPIEndpointException"
#define CALL_MS 120 /* one call after the other, as seen against the real AWS */

/* ---- Resources of one step ---- */

static void add_resource(json_t *list, const char *name, const char *action, const char *reason)
{
    (void)json_array_append_new(list,
                                json_make("{s:s, s:s, s:s}", "resource", name, "action", action, "reason", reason));
}

static json_t *resource_by_name(const json_t *list, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (str_eq(json_str_at(one, "resource"), name) || str_ends(json_str_at(one, "resource"), name))
            return one;
    return NULL;
}

/* Calls that change one thing are one line; what makes it says most. */
static void add_called(json_t *list, const json_t *calls)
{
    size_t i;
    const json_t *call;
    json_array_foreach ((json_t *)(uintptr_t)calls, i, call) {
        const char *name = json_str_at(call, "resource"), *verb = json_str_at(call, "verb");
        json_t *known = resource_by_name(list, name);
        if (!known)
            add_resource(list, name, verb, json_str_at(call, "why"));
        else if (str_eq(json_str_at(known, "action"), "change") && str_eq(verb, "create"))
            json_put_str(known, "action", verb);
    }
}

static void add_kept(struct step *s, json_t *list, const char *name, const char *action, const char *reason)
{
    (void)s;
    if (!resource_by_name(list, name))
        add_resource(list, name, action, reason);
}

static void add_role(struct step *s, json_t *list, const char *step_name)
{
    const json_t *role = json_object_get(json_at(step_import(s), "vars.roles"), step_name + strlen("role_")), *one;
    const char *ours =
        step_text(s, "it carries our tag %s=%s and is as agreed", step_var(s, "tag_key"), step_var(s, "tag_value"));
    size_t i;
    add_kept(s, list, step_text(s, "role %s", json_str_at(role, "name")), "adopt", ours);
    json_array_foreach (json_at(role, "policies"), i, one) {
        const char *name = json_str_at(one, "name");
        if (!resource_by_name(list, step_text(s, "policy %s", name)) &&
            !resource_by_name(list, step_text(s, "policy/%s", name)))
            add_resource(list, step_text(s, "policy %s", name), "adopt", ours);
    }
}

/* What a step is about when it has nothing to do there. */
static const struct {
    const char *step, *resource, *reason;
} about[] = {
    {"mailbox_ready", "mailbox of the new root address", "nothing at AWS changes"},
    {"root_email", "root email address", "it is the agreed one already"},
    {"root_mfa_handover", "root user's second factor", "the operator's part is done already"},
    {"root_password", "root password", "it was changed already"},
    {"root_mfa", "root user's second factor", "only the operator's devices are left"},
    {"partner_program", "partner relationship", "AWS lists it already"},
    {"payment_method", "payment method", "it was changed already"},
    {"tax_profile", "tax registration", "it is the billing profile's already"},
    {"org_email_verify", "organization's email address", "it is verified already"},
    {"credential_retire", "access that was handed over", "no key was handed over; the role stays the customer's"},
};

static json_t *resources_of(struct step *s, const json_t *foreseen)
{
    const char *name = json_str_at(foreseen, "step");
    json_t *list = json_array();
    add_called(list, json_object_get(foreseen, "calls"));
    if (str_starts(name, "role_"))
        add_role(s, list, name);
    else if (str_eq(name, "cur_bucket"))
        add_kept(s, list, step_text(s, "bucket %s", step_var(s, "bucket")), "adopt",
                 step_text(s, "it carries our tag %s=%s and all five settings are as agreed", step_var(s, "tag_key"),
                           step_var(s, "tag_value")));
    else if (str_eq(name, "cur_report"))
        add_kept(s, list, step_text(s, "report %s", step_var(s, "report")), "adopt", "its definition is as agreed");
    bool is_asked = json_array_size(json_object_get(foreseen, "tasks")) > 0;
    for (size_t i = 0; i < sizeof about / sizeof about[0] && !json_array_size(list); i++)
        if (str_eq(about[i].step, name) && !is_asked)
            add_resource(list, about[i].resource, "nothing", about[i].reason);
    return list;
}

/* ---- Steps ---- */

static json_t *step_part(struct step *s, const json_t *foreseen)
{
    json_t *part = json_copy((json_t *)(uintptr_t)foreseen);
    (void)json_object_del(part, "reads");
    bool is_played = str_in_list("done,stops,unforeseen", json_str_at(foreseen, "ends"));
    json_put(part, "resources", is_played ? resources_of(s, foreseen) : json_array());
    return part;
}

static json_t *pinned_of(struct step *s, const json_t *foresight, json_t *read_set)
{
    const json_t *import = step_import(s), *one;
    json_t *steps = json_array();
    size_t i;
    json_array_foreach (json_at(foresight, "steps"), i, one)
        (void)json_array_append_new(steps, step_part(s, one));
    json_t *pinned = json_make("{s:s, s:s, s:s, s:s, s:O, s:o, s:o}", "import", json_str_at(import, "id"), "account",
                               step_var(s, "account_id"), "customer", json_str_at(import, "customer.name"), "playbook",
                               json_str_at(import, "playbook"), "playbook_steps", json_at(import, "steps"), "steps",
                               steps, "read_set", read_set);
    json_put(pinned, "profile", same_or(json_at(import, "profile"), json_null()));
    json_t *intent = json_make("{s:s, s:s}", "mfa_mode", json_str_at(import, "mfa_mode"), "access",
                               json_str_at(import, "access.method"));
    static const char *const names[] = {"id",     "root_email", "bucket",    "report",
                                        "region", "tag_key",    "tag_value", "operator_account_id"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        json_put_str(intent, names[n], step_var(s, names[n]));
    json_put(pinned, "intent", intent);
    return pinned;
}

/* ---- Figures ---- */

static void count(json_t *summary, const char *what, size_t n)
{
    json_put_int(summary, what, json_int_at(summary, what) + (int64_t)n);
}

static json_t *summary_of(const json_t *pinned)
{
    static const char *const counted[] = {"calls", "tasks", "mails", "decisions"};
    json_t *summary = json_make("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "create", 0, "change", 0,
                                "remove", 0, "adopt", 0, "nothing", 0, "calls", 0, "tasks", 0, "mails", 0, "decisions",
                                0, "stops", 0, "unforeseen", 0);
    size_t i, k;
    const json_t *step, *one;
    json_array_foreach (json_at(pinned, "steps"), i, step) {
        for (size_t c = 0; c < sizeof counted / sizeof counted[0]; c++)
            count(summary, counted[c], json_array_size(json_object_get(step, counted[c])));
        json_array_foreach (json_object_get(step, "resources"), k, one)
            count(summary, json_str_at(one, "action"), 1);
        if (str_in_list("stops,unforeseen", json_str_at(step, "ends")))
            count(summary, json_str_at(step, "ends"), 1);
    }
    return summary;
}

/* Machine time is the slowest family at its rate, or all calls one after the other; people's time is their own. */
static json_t *estimate_of(const json_t *foresight, const json_t *pinned)
{
    int64_t calls = 0, slowest_ms = 0, longest = 0;
    size_t i, k;
    const json_t *one, *task;
    json_t *rates = json_array();
    json_array_foreach (json_at(foresight, "rates"), i, one) {
        int64_t n = json_int_at(one, "calls"), interval_us = json_int_at(one, "interval_us"),
                ms = n * interval_us / 1000;
        calls += n;
        slowest_ms = ms > slowest_ms ? ms : slowest_ms;
        (void)json_array_append_new(rates, json_make("{s:s, s:I, s:f, s:I}", "family", json_str_at(one, "family"),
                                                     "calls", (json_int_t)n, "per_second",
                                                     interval_us ? 1e6 / (double)interval_us : 0.0, "at_least_ms",
                                                     (json_int_t)ms));
    }
    json_array_foreach (json_at(pinned, "steps"), i, one) {
        json_array_foreach (json_object_get(one, "tasks"), k, task)
            if (json_int_at(task, "due_hours") > longest)
                longest = json_int_at(task, "due_hours");
    }
    int64_t machine_ms = calls * CALL_MS > slowest_ms ? calls * CALL_MS : slowest_ms;
    return json_make("{s:I, s:I, s:o, s:I}", "calls", (json_int_t)calls, "machine_ms", (json_int_t)machine_ms, "rates",
                     rates, "longest_due_hours", (json_int_t)longest);
}

/* ---- Making ---- */

enum step_result plan_make(struct step *s, const json_t **ret_plan)
{
    const json_t *foresight = NULL, *trusted = NULL;
    TRY(step_try(s, "trusted-services", &organizations_list_aws_service_access_for_organization, NULL,
                 NO_ORGANIZATION_FEATURES, &trusted));
    TRY(step_foresee(s, &foresight));
    json_t *seen = step_keep(s, json_copy((json_t *)(uintptr_t)json_at(foresight, "seen"))), *others = NULL;
    (void)json_array_append_new(seen, json_make("{s:s, s:{}, s:O}", "op",
                                                organizations_list_aws_service_access_for_organization.name, "args",
                                                "facts", trusted));
    json_t *read_set = plan_read_set(step_import(s), seen, &others);
    json_t *pinned = pinned_of(s, foresight, read_set), *summary = summary_of(pinned);
    char hash[65];
    json_digest(pinned, hash);
    bool is_complete = json_int_at(summary, "stops") + json_int_at(summary, "unforeseen") == 0;
    *ret_plan = step_keep(s, json_make("{s:s, s:s, s:o, s:b, s:b, s:o, s:o, s:o}", "format", "orgimport-plan/1", "hash",
                                       hash, "pinned", pinned, "no_changes", json_int_at(summary, "calls") == 0,
                                       "is_complete", (int)is_complete, "summary", summary, "estimate",
                                       estimate_of(foresight, pinned), "others", others));
    return STEP_DONE;
}

/* ---- Comparing ---- */

/* The calls of each step, as far as they leave: what was approved. */
static json_t *calls_of(const json_t *plan)
{
    json_t *steps = json_object();
    size_t i, k;
    const json_t *step, *call;
    json_array_foreach (json_at(plan, "pinned.steps"), i, step) {
        json_t *all = json_array();
        json_array_foreach (json_object_get(step, "calls"), k, call)
            (void)json_array_append_new(all,
                                        json_sprintf("%s %s", json_str_at(call, "op"), json_str_at(call, "digest")));
        json_sort_by(all, NULL);
        char digest[65];
        json_digest(all, digest);
        json_put(steps, json_str_at(step, "step"),
                 json_make("{s:s, s:I}", "digest", digest, "calls", (json_int_t)json_array_size(all)));
        json_decref(all);
    }
    return steps;
}

json_t *plan_digest(const json_t *plan)
{
    return json_make("{s:s, s:O, s:o, s:O}", "hash", json_str_at(plan, "hash"), "read_set",
                     json_at(plan, "pinned.read_set"), "steps", calls_of(plan), "others",
                     json_object_get(plan, "others"));
}

static void compare_calls(const json_t *before, const json_t *now, json_t *moved)
{
    const char *step;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)now, step, one) {
        const json_t *was = json_object_get(before, step);
        if (str_eq(json_str_at(was, "digest"), json_str_at(one, "digest")))
            continue;
        json_auto_t *item = json_sprintf("calls of step %s", step);
        json_auto_t *from = json_sprintf("%lld calls", (long long)json_int_at(was, "calls"));
        json_auto_t *to = json_sprintf("%lld calls, with other arguments", (long long)json_int_at(one, "calls"));
        (void)json_array_append_new(moved, json_make("{s:O, s:O, s:O}", "item", item, "from", from, "to", to));
    }
}

json_t *plan_moved(const json_t *before, const json_t *now)
{
    json_auto_t *was = json_has(before, "pinned") ? plan_digest(before) : json_incref((json_t *)(uintptr_t)before);
    json_auto_t *is = plan_digest(now);
    json_t *moved = json_array();
    plan_read_set_compare(json_object_get(was, "read_set"), json_object_get(is, "read_set"), moved);
    if (!json_array_size(moved)) /* calls follow from what was read: named only when nothing else explains them */
        compare_calls(json_object_get(was, "steps"), json_object_get(is, "steps"), moved);
    return moved;
}

json_t *plan_drift(const json_t *before, const json_t *now)
{
    json_t *drift = json_array();
    size_t i;
    const json_t *one, *was = json_object_get(before, "others");
    json_array_foreach (json_object_get(now, "others"), i, one) {
        bool is_same = false;
        size_t k;
        const json_t *other;
        json_array_foreach ((json_t *)(uintptr_t)was, k, other)
            is_same = is_same || json_equal((json_t *)(uintptr_t)other, (json_t *)(uintptr_t)one);
        if (!is_same)
            (void)json_array_append_new(drift, json_string(json_str_at(one, "op")));
    }
    return drift;
}
