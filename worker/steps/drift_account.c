/* Drift of the account itself: the organization's identity, the root user, and who is trusted by the organization. */
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "worker/steps/drift_items.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"

static void look_at_organization(struct drift_look *l)
{
    static const struct {
        const char *member, *what;
    } members[] = {{"id", "id"}, {"feature_set", "feature set"}, {"master_account_id", "management account"}};
    const json_t *from = json_object_get(l->handover, "organization");
    struct drift_sighting at = drift_ask(l, "organization", &organizations_describe_organization, NULL, "");
    if (!drift_is_seen(l, &at, "organization", "id,feature set,management account")) {
        (void)drift_is_seen(l, &at, "root user", "email");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        drift_compare(l, &at, "organization", members[i].what, json_object_get(from, members[i].member),
                      json_incref(json_object_get(at.facts, members[i].member)));
    const char *had = json_str_at(from, "master_email"), *has = json_str_at(at.facts, "master_email");
    bool is_same = human_is_same_email(had, has);
    drift_say(l, "root user", "email", is_same ? "same" : "changed",
              is_same ? NULL : json_object_get(from, "master_email"),
              is_same ? NULL : json_object_get(at.facts, "master_email"), at.through, NULL);
}

static void look_at_root(struct drift_look *l)
{
    const json_t *from = json_object_get(l->handover, "root");
    struct drift_sighting at = drift_ask(l, "summary", &iam_get_account_summary, NULL, "");
    if (!json_is_object(from))
        return;
    if (drift_is_seen(l, &at, "root user", "second factor,access keys")) {
        const json_t *counts = json_object_get(at.facts, "summary");
        drift_compare(l, &at, "root user", "second factor", json_object_get(from, "mfa"),
                      json_boolean(json_int_at(counts, "AccountMFAEnabled") > 0));
        drift_compare(l, &at, "root user", "access keys", json_object_get(from, "access_keys"),
                      json_boolean(json_int_at(counts, "AccountAccessKeysPresent") > 0));
    }
    struct drift_sighting devices =
        drift_ask(l, "devices", &iam_list_virtual_mfa_devices, json_make("{s:s}", "AssignmentStatus", "Assigned"), "");
    if (drift_is_seen(l, &devices, "root user", "devices"))
        drift_compare(l, &devices, "root user", "devices", json_object_get(from, "devices"),
                      human_root_devices(devices.facts));
}

/* Services that came or went since: a service that may act in every account of the organization is nobody's detail. */
static void look_at_trusted(struct drift_look *l)
{
    const json_t *had = json_object_get(l->handover, "trusted_services");
    struct drift_sighting at =
        drift_ask(l, "trusted", &organizations_list_aws_service_access_for_organization, NULL, "");
    if (!json_is_object(had) || !drift_is_seen(l, &at, "trusted services", "list"))
        return;
    json_t *has = step_keep(l->s, json_object()), *one = NULL;
    const char *principal = NULL;
    size_t i, differences = 0;
    json_array_foreach (json_object_get(at.facts, "services"), i, one)
        json_put(has, json_str_at(one, "principal"), json_true());
    json_object_foreach ((json_t *)(uintptr_t)had, principal, one) {
        if (json_object_get(has, principal))
            continue;
        differences++;
        drift_say(l, "trusted services", principal, "gone", step_keep(l->s, json_string(principal)), NULL, at.through,
                  "the organization does not trust it any more");
    }
    json_object_foreach (has, principal, one) {
        if (json_object_get(had, principal))
            continue;
        differences++;
        drift_say(l, "trusted services", principal, "changed", step_keep(l->s, json_null()),
                  step_keep(l->s, json_string(principal)), at.through, "the organization trusts it since");
    }
    if (!differences)
        drift_say(l, "trusted services", "list", "same", NULL, NULL, at.through, NULL);
}

void drift_look_account(struct drift_look *l)
{
    look_at_organization(l);
    look_at_root(l);
    look_at_trusted(l);
}
