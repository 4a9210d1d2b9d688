/* IAM users, their access keys, and what must be gone before a user can be deleted. */
#include "sim_iam.h"

#include <stdlib.h>

#define KEY_SETTLES_MS 700u /* real AWS: seconds */

static void changed(struct sim_request *rq, const char *name, struct sim_before before, const json_t *user)
{
    char resource[128];
    (void)snprintf(resource, sizeof resource, "iam.users.%s", name);
    sim_effect(rq, resource, before, user);
}

static json_t *user_reply(const json_t *user)
{
    static const char *const names[] = {"Path", "UserName", "UserId", "Arn", "CreateDate", "PasswordLastUsed", NULL};
    json_t *reply = iam_copy(user, names);
    if (json_array_size(json_object_get(user, "Tags")) > 0)
        json_object_set(reply, "Tags", json_object_get(user, "Tags"));
    return reply;
}

/* The user named, or, as IAM has it, the caller when no name is given. */
static json_t *named_user(struct sim_request *rq)
{
    const char *name = sim_param(rq, "UserName");
    if (name[0] == '\0' && svc_is(rq->caller_type, "IAMUser"))
        name = strrchr(rq->caller_arn, '/') + 1;
    return iam_get(rq, IAM_USER, name);
}

static void get_user(struct sim_request *rq)
{
    if (!sim_param(rq, "UserName")[0] && svc_is(rq->caller_type, "Root")) {
        sim_ok_query(rq, json_pack("{s:{s:s, s:s, s:s}}", "User", "UserId", rq->caller_account, "Arn", rq->caller_arn,
                                   "CreateDate", "2019-01-01T00:00:00Z"));
        return;
    }
    const json_t *user = named_user(rq);
    if (user)
        sim_ok_query(rq, json_pack("{s:o}", "User", user_reply(user)));
}

static void list_users(struct sim_request *rq)
{
    json_t *list = json_array();
    const char *name;
    json_t *user;
    json_object_foreach (iam_all(rq, IAM_USER), name, user) {
        json_t *reply = user_reply(user);
        json_object_del(reply, "Tags"); /* ListUsers leaves them out, as ListRoles does */
        json_array_append_new(list, reply);
    }
    iam_page(rq, NULL, "Users", list);
}

static void create_user(struct sim_request *rq)
{
    const char *name = sim_param(rq, "UserName"), *path = sim_param(rq, "Path");
    json_t *all = iam_all(rq, IAM_USER);
    if (!iam_name_is_fine(rq, "userName", name, 64) || iam_is_taken(rq, IAM_USER, name) ||
        !iam_within_quota(rq, "UsersQuota", 5000, json_object_size(all)))
        return;
    json_t *tags = iam_tags(rq);
    if (!tags)
        return;
    path = path[0] ? path : "/";
    json_t *user = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:[], s:[], s:{}, s:{}, s:[], s:[], s:[], s:[], s:I}",
                             "Path", path, "UserName", name, "UserId", iam_new_id("AIDA"), "Arn",
                             svc_textf("arn:aws:iam::%s:user%s%s", rq->caller_account, path, name), "CreateDate",
                             iam_now(), "Tags", tags, "login_profile", 0, "groups", "attached", "inline", "access_keys",
                             "mfa_devices", "signing_certificates", "ssh_keys", "service_credentials", "known_ms",
                             (json_int_t)(sim_now_ms() + 1000));
    json_object_set_new(all, name, user);
    changed(rq, name, sim_before(NULL), user);
    sim_ok_query(rq, json_pack("{s:o}", "User", user_reply(user)));
}

static const char *what_is_left(const json_t *user)
{
    if (json_object_size(json_object_get(user, "access_keys")) > 0)
        return "access keys";
    if (json_is_true(json_object_get(user, "login_profile")))
        return "login profile";
    if (json_array_size(json_object_get(user, "attached")) > 0 || json_object_size(json_object_get(user, "inline")) > 0)
        return "policies";
    if (json_array_size(json_object_get(user, "groups")) > 0)
        return "groups";
    if (json_array_size(json_object_get(user, "mfa_devices")) > 0)
        return "MFA devices";
    if (json_array_size(json_object_get(user, "signing_certificates")) > 0)
        return "signing certificates";
    if (json_array_size(json_object_get(user, "ssh_keys")) > 0)
        return "SSH public keys";
    if (json_array_size(json_object_get(user, "service_credentials")) > 0)
        return "service specific credentials";
    return NULL;
}

static void delete_user(struct sim_request *rq)
{
    const char *name = sim_param(rq, "UserName");
    json_t *user = iam_get(rq, IAM_USER, name);
    const char *left = user ? what_is_left(user) : NULL;
    if (left)
        sim_error(rq, 409, "DeleteConflict", "Cannot delete entity, must delete %s first.", left);
    if (!user || left)
        return;
    struct sim_before before = sim_before(user);
    json_object_del(iam_all(rq, IAM_USER), name);
    changed(rq, name, before, NULL);
    sim_ok_query(rq, NULL);
}

/* ---- access keys ---- */

static json_t *key_reply(const json_t *user, const char *id, const json_t *key)
{
    return json_pack("{s:O, s:s, s:O, s:O}", "UserName", json_object_get(user, "UserName"), "AccessKeyId", id, "Status",
                     json_object_get(key, "Status"), "CreateDate", json_object_get(key, "CreateDate"));
}

static void list_access_keys(struct sim_request *rq)
{
    json_t *list = json_array();
    const char *id;
    json_t *key;
    if (!sim_param(rq, "UserName")[0] && svc_is(rq->caller_type, "Root")) {
        json_object_foreach (json_object_get(sim_account_root(rq->world, rq->caller_account), "access_keys"), id, key)
            json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "AccessKeyId", id, "Status",
                                                  json_object_get(key, "Status"), "CreateDate",
                                                  json_object_get(key, "CreateDate")));
        iam_page(rq, NULL, "AccessKeyMetadata", list);
        return;
    }
    const json_t *user = named_user(rq);
    json_object_foreach (json_object_get(user, "access_keys"), id, key)
        json_array_append_new(list, key_reply(user, id, key));
    if (user)
        iam_page(rq, NULL, "AccessKeyMetadata", list);
    else
        json_decref(list);
}

static void create_access_key(struct sim_request *rq)
{
    json_t *user = named_user(rq);
    json_t *keys = json_object_get(user, "access_keys");
    if (!user)
        return;
    if (!keys)
        json_object_set_new(user, "access_keys", keys = json_object());
    if (json_object_size(keys) >= 2) {
        sim_error(rq, 409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2");
        return;
    }
    struct sim_before before = sim_before(user);
    char id[21], secret[41];
    sim_key_id("AKIA", rq->caller_account, id);
    sim_secret_key(secret);
    json_t *key = json_pack("{s:s, s:s, s:o, s:I}", "secret", secret, "Status", "Active", "CreateDate", iam_now(),
                            "usable_ms", (json_int_t)(sim_now_ms() + svc_timing(rq->world, "key_ms", KEY_SETTLES_MS)));
    json_object_set_new(keys, id, key);
    changed(rq, svc_text(user, "UserName"), before, user);
    json_t *reply = key_reply(user, id, key);
    json_object_set_new(reply, "SecretAccessKey", json_string(secret));
    sim_ok_query(rq, json_pack("{s:o}", "AccessKey", reply));
}

static json_t *named_key(struct sim_request *rq, json_t **ret_user)
{
    const char *id = sim_param(rq, "AccessKeyId");
    *ret_user = named_user(rq);
    json_t *key = json_object_get(json_object_get(*ret_user, "access_keys"), id);
    if (*ret_user && !key)
        sim_error(rq, 404, "NoSuchEntity", "The Access Key with id %s cannot be found.", id);
    return key;
}

static void update_access_key(struct sim_request *rq)
{
    json_t *user, *key = named_key(rq, &user);
    const char *status = sim_param(rq, "Status");
    if (!key)
        return;
    if (!svc_one_of(status, "Active,Inactive")) {
        sim_error(rq, 400, "ValidationError", "Value '%s' at 'status' failed to satisfy constraint", status);
        return;
    }
    struct sim_before before = sim_before(user);
    json_object_set_new(key, "Status", json_string(status));
    changed(rq, svc_text(user, "UserName"), before, user);
    sim_ok_query(rq, NULL);
}

static void delete_access_key(struct sim_request *rq)
{
    json_t *user, *key = named_key(rq, &user);
    if (!key)
        return;
    struct sim_before before = sim_before(user);
    json_object_del(json_object_get(user, "access_keys"), sim_param(rq, "AccessKeyId"));
    changed(rq, svc_text(user, "UserName"), before, user);
    sim_ok_query(rq, NULL);
}

static void get_key_last_used(struct sim_request *rq)
{
    const char *id = sim_param(rq, "AccessKeyId"), *name;
    json_t *user;
    json_object_foreach (iam_all(rq, IAM_USER), name, user) {
        json_t *key = json_object_get(json_object_get(user, "access_keys"), id), *used;
        if (!key)
            continue;
        used = sim_key_last_used(id);
        if (!used && json_object_get(key, "last_used")) /* from before the simulation began */
            used = json_copy(json_object_get(key, "last_used"));
        if (!used)
            used = json_pack("{s:s, s:s}", "ServiceName", "N/A", "Region", "N/A");
        sim_ok_query(rq, json_pack("{s:s, s:o}", "UserName", name, "AccessKeyLastUsed", used));
        return;
    }
    sim_error(rq, 403, "AccessDenied", "User: %s is not authorized to perform: iam:GetAccessKeyLastUsed",
              rq->caller_arn);
}

/* ---- what else hangs on a user ---- */

static void list_groups_for_user(struct sim_request *rq)
{
    static const char *const names[] = {"Path", "GroupName", "GroupId", "Arn", "CreateDate", NULL};
    const json_t *user = named_user(rq);
    if (!user)
        return;
    json_t *list = json_array();
    const json_t *groups = json_object_get(user, "groups");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_object_get(iam_all(rq, IAM_GROUP), json_string_value(json_array_get(groups, i)));
        if (group)
            json_array_append_new(list, iam_copy(group, names));
    }
    iam_page(rq, NULL, "Groups", list);
}

static void list_part(struct sim_request *rq, const char *part, const char *answer_name)
{
    const json_t *user = named_user(rq);
    if (!user)
        return;
    json_t *list = json_array();
    const json_t *all = json_object_get(user, part);
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *one = json_deep_copy(json_array_get(all, i));
        if (json_is_object(one))
            json_object_set(one, "UserName", json_object_get(user, "UserName"));
        json_array_append_new(list, one);
    }
    iam_page(rq, NULL, answer_name, list);
}

static void list_mfa_devices(struct sim_request *rq)
{
    if (!sim_param(rq, "UserName")[0] && svc_is(rq->caller_type, "Root"))
        iam_page(rq, NULL, "MFADevices", json_array());
    else
        list_part(rq, "mfa_devices", "MFADevices");
}

static void list_signing_certificates(struct sim_request *rq)
{
    list_part(rq, "signing_certificates", "Certificates");
}

static void list_ssh_keys(struct sim_request *rq)
{
    list_part(rq, "ssh_keys", "SSHPublicKeys");
}

static void list_service_credentials(struct sim_request *rq)
{
    list_part(rq, "service_credentials", "ServiceSpecificCredentials");
}

static void get_login_profile(struct sim_request *rq)
{
    const json_t *user = iam_get(rq, IAM_USER, sim_param(rq, "UserName"));
    if (user && !json_is_true(json_object_get(user, "login_profile")))
        sim_error(rq, 404, "NoSuchEntity", "Login Profile for User %s cannot be found.", sim_param(rq, "UserName"));
    else if (user)
        sim_ok_query(rq, json_pack("{s:{s:O, s:O, s:b}}", "LoginProfile", "UserName", json_object_get(user, "UserName"),
                                   "CreateDate", json_object_get(user, "CreateDate"), "PasswordResetRequired", 0));
}

static void delete_login_profile(struct sim_request *rq)
{
    json_t *user = iam_get(rq, IAM_USER, sim_param(rq, "UserName"));
    if (!user)
        return;
    if (!json_is_true(json_object_get(user, "login_profile"))) {
        sim_error(rq, 404, "NoSuchEntity", "Login Profile for User %s cannot be found.", sim_param(rq, "UserName"));
        return;
    }
    struct sim_before before = sim_before(user);
    json_object_set_new(user, "login_profile", json_false());
    changed(rq, svc_text(user, "UserName"), before, user);
    sim_ok_query(rq, NULL);
}

static void remove_from_group(struct sim_request *rq)
{
    json_t *user = iam_get(rq, IAM_USER, sim_param(rq, "UserName"));
    json_t *groups = json_object_get(user, "groups");
    for (size_t i = 0; i < json_array_size(groups); i++)
        if (svc_is(json_string_value(json_array_get(groups, i)), sim_param(rq, "GroupName"))) {
            struct sim_before before = sim_before(user);
            json_array_remove(groups, i);
            changed(rq, svc_text(user, "UserName"), before, user);
            sim_ok_query(rq, NULL);
            return;
        }
    if (user)
        sim_error(rq, 404, "NoSuchEntity", "User %s is not in group %s", sim_param(rq, "UserName"),
                  sim_param(rq, "GroupName"));
}

static void deactivate_mfa(struct sim_request *rq)
{
    json_t *user = iam_get(rq, IAM_USER, sim_param(rq, "UserName"));
    json_t *devices = json_object_get(user, "mfa_devices");
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (svc_is(svc_text(json_array_get(devices, i), "SerialNumber"), sim_param(rq, "SerialNumber"))) {
            struct sim_before before = sim_before(user);
            json_array_remove(devices, i);
            changed(rq, svc_text(user, "UserName"), before, user);
            sim_ok_query(rq, NULL);
            return;
        }
    if (user)
        sim_error(rq, 404, "NoSuchEntity", "MFA device %s is not there.", sim_param(rq, "SerialNumber"));
}

const struct sim_op iam_user_ops[] = {
    {"iam", "GetUser", false, get_user},
    {"iam", "ListUsers", false, list_users},
    {"iam", "CreateUser", true, create_user},
    {"iam", "DeleteUser", true, delete_user},
    {"iam", "ListAccessKeys", false, list_access_keys},
    {"iam", "CreateAccessKey", true, create_access_key},
    {"iam", "UpdateAccessKey", true, update_access_key},
    {"iam", "DeleteAccessKey", true, delete_access_key},
    {"iam", "GetAccessKeyLastUsed", false, get_key_last_used},
    {"iam", "ListGroupsForUser", false, list_groups_for_user},
    {"iam", "ListMFADevices", false, list_mfa_devices},
    {"iam", "ListSigningCertificates", false, list_signing_certificates},
    {"iam", "ListSSHPublicKeys", false, list_ssh_keys},
    {"iam", "ListServiceSpecificCredentials", false, list_service_credentials},
    {"iam", "GetLoginProfile", false, get_login_profile},
    {"iam", "DeleteLoginProfile", true, delete_login_profile},
    {"iam", "RemoveUserFromGroup", true, remove_from_group},
    {"iam", "DeactivateMFADevice", true, deactivate_mfa},
    {0},
};
