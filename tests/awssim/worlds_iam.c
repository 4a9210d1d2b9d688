/* IAM and root of a world: the people, roles and policies that a customer has anyway and that nobody may touch. */
#include "worlds.h"

#include <stdio.h>

static json_t *iam_part(json_t *iam, const char *name)
{
    json_t *part = json_object_get(iam, name);
    if (part == NULL) {
        part = json_object();
        json_object_set_new(iam, name, part);
    }
    return part;
}

void make_tag(json_t *owner, const char *list, const char *key, const char *value)
{
    json_t *tags = json_object_get(owner, list);
    if (tags == NULL) {
        tags = json_array();
        json_object_set_new(owner, list, tags);
    }
    json_array_append_new(tags, json_pack("{s:s, s:s}", "Key", key, "Value", value));
}

json_t *make_user(struct make *m, json_t *iam, const char *account, const char *name)
{
    json_t *user = json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:[], s:b, s:[], s:[], s:{}, s:{}, s:[], s:[], s:[], s:[]}", "Path", "/", "UserName",
        name, "UserId", make_id(m, "AIDA", 17, true), "Arn", svc_textf("arn:aws:iam::%s:user/%s", account, name),
        "CreateDate", make_time(make_past(m, 1, 900)), "Tags", "login_profile", 0, "groups", "attached", "inline",
        "access_keys", "mfa_devices", "signing_certificates", "ssh_keys", "service_credentials");
    json_object_set_new(iam_part(iam, "users"), name, user);
    return user;
}

void make_user_key(struct make *m, json_t *user, const char *account, char ret_id[21], char ret_secret[41])
{
    make_key(m, account, ret_id, ret_secret);
    json_object_set_new(json_object_get(user, "access_keys"), ret_id,
                        json_pack("{s:s, s:s, s:o}", "secret", ret_secret, "Status", "Active", "CreateDate",
                                  make_time(make_past(m, 0, 30))));
}

json_t *make_role(struct make *m, const char *path, const char *name, const char *trust)
{
    json_t *role =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:i, s:[], s:[], s:{}}", "Path", path, "RoleName", name, "RoleId",
                  make_id(m, "AROA", 17, true), "Arn", svc_textf("arn:aws:iam::%s:role%s%s", m->w->account, path, name),
                  "CreateDate", make_time(make_past(m, 1, 1200)), "AssumeRolePolicyDocument", trust,
                  "MaxSessionDuration", 3600, "Tags", "attached", "inline");
    json_object_set_new(iam_part(make_section(m, "iam"), "roles"), name, role);
    return role;
}

void make_iam_policy(struct make *m, const char *name, const char *document)
{
    json_t *created = make_time(make_past(m, 1, 800));
    json_t *policy =
        json_pack("{s:s, s:o, s:o, s:s, s:o, s:O, s:[], s:s, s:i, s:{s:{s:s, s:O}}}", "PolicyName", name, "PolicyId",
                  make_id(m, "ANPA", 17, true), "Arn", svc_textf("arn:aws:iam::%s:policy/%s", m->w->account, name),
                  "Path", "/", "CreateDate", created, "UpdateDate", created, "Tags", "DefaultVersionId", "v1",
                  "next_version", 2, "versions", "v1", "document", document, "CreateDate", created);
    json_object_set_new(iam_part(make_section(m, "iam"), "policies"), name, policy);
}

static void iam_group(struct make *m, const char *name, const char *policy_arn)
{
    json_t *group =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:[s], s:{}}", "Path", "/", "GroupName", name, "GroupId",
                  make_id(m, "AGPA", 17, true), "Arn", svc_textf("arn:aws:iam::%s:group/%s", m->w->account, name),
                  "CreateDate", make_time(make_past(m, 100, 900)), "attached", policy_arn, "inline");
    json_object_set_new(iam_part(make_section(m, "iam"), "groups"), name, group);
}

static void iam_service_role(struct make *m, const char *path, const char *name, const char *service,
                             const char *policy_arn)
{
    char trust[400];
    (void)snprintf(
        trust, sizeof trust,
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"%s\"},"
        "\"Action\":\"sts:AssumeRole\"}]}",
        service);
    json_t *role = make_role(m, path, name, trust);
    json_array_append_new(json_object_get(role, "attached"), json_string(policy_arn));
}

static void iam_users(struct make *m)
{
    static const char *const names[] = {"jane.doe", "build-bot", "breakglass", "terraform", "r.roe", "metrics"};
    json_t *iam = make_section(m, "iam");
    unsigned count = 1 + (unsigned)make_below(m, 6);
    for (unsigned i = 0; i < count; i++) {
        char key_id[21], secret[41];
        json_t *user = make_user(m, iam, m->w->account, names[i]);
        if (make_chance(m, 50))
            json_array_append_new(json_object_get(user, "groups"), json_string("Administrators"));
        else
            json_array_append_new(json_object_get(user, "attached"),
                                  json_string("arn:aws:iam::aws:policy/ReadOnlyAccess"));
        if (make_chance(m, 40))
            make_user_key(m, user, m->w->account, key_id, secret);
        if (make_chance(m, 40))
            json_object_set_new(user, "login_profile", json_true());
        if (make_chance(m, 30))
            make_tag(user, "Tags", "team", "platform");
        if (make_chance(m, 15))
            json_object_set_new(json_object_get(user, "inline"), "extra",
                                json_string("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
                                            "\"Action\":\"s3:List*\",\"Resource\":\"*\"}}"));
    }
}

static void iam_roles(struct make *m)
{
    char trust[600], name[80], letters[17];
    iam_service_role(m, "/aws-service-role/organizations.amazonaws.com/", "AWSServiceRoleForOrganizations",
                     "organizations.amazonaws.com",
                     "arn:aws:iam::aws:policy/aws-service-role/AWSOrganizationsServiceTrustPolicy");
    iam_service_role(m, "/aws-service-role/support.amazonaws.com/", "AWSServiceRoleForSupport", "support.amazonaws.com",
                     "arn:aws:iam::aws:policy/aws-service-role/AWSSupportServiceRolePolicy");
    if (json_array_size(json_object_get(make_section(m, "features"), "sso")) > 0) {
        make_letters(m, false, 16, letters);
        (void)snprintf(trust, sizeof trust,
                       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Federated\":"
                       "\"arn:aws:iam::%s:saml-provider/"
                       "AWSSSO_%s_DO_NOT_DELETE\"},\"Action\":[\"sts:AssumeRoleWithSAML\",\"sts:TagSession\"],"
                       "\"Condition\":{\"StringEquals\":{\"SAML:aud\":\"https://signin.aws.amazon.com/saml\"}}}]}",
                       m->w->account, letters);
        (void)snprintf(name, sizeof name, "AWSReservedSSO_AdministratorAccess_%s", letters);
        json_t *role = make_role(m, "/aws-reserved/sso.amazonaws.com/", name, trust);
        json_array_append_new(json_object_get(role, "attached"),
                              json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
        json_object_set_new(
            make_section(m, "iam"), "saml",
            json_pack("[{s:o, s:o, s:o}]", "Arn",
                      svc_textf("arn:aws:iam::%s:saml-provider/AWSSSO_%s_DO_NOT_DELETE", m->w->account, letters),
                      "ValidUntil", make_time(2100000000000u), "CreateDate", make_time(m->founded_ms)));
    }
    unsigned count = 2 + (unsigned)make_below(m, 5) + (m->members > 100 ? 120 : 0);
    for (unsigned i = 0; i < count; i++) {
        static const char *const services[] = {"lambda.amazonaws.com", "ec2.amazonaws.com", "ecs-tasks.amazonaws.com",
                                               "codebuild.amazonaws.com"};
        char arn[120], policy[64];
        (void)snprintf(name, sizeof name, "app-%u", i);
        (void)snprintf(policy, sizeof policy, "app-policy-%u", i % 2);
        (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:policy/%s", m->w->account, policy);
        iam_service_role(m, i % 3 == 0 ? "/apps/" : "/", name, services[i % 4], arn);
    }
}

/* Root and the account's own settings. */
static void iam_account(struct make *m)
{
    json_t *iam = make_section(m, "iam"), *root = make_section(m, "root");
    json_t *device = json_pack("{s:o, s:o, s:b}", "SerialNumber",
                               svc_textf("arn:aws:iam::%s:mfa/root-account-mfa-device", m->w->account), "EnableDate",
                               make_time(make_past(m, 30, 900)), "virtual", 1);
    json_object_set_new(root, "mfa_devices", json_pack("[o]", device));
    json_object_set_new(root, "access_keys", json_object());
    json_object_set_new(root, "password", json_true());
    if (make_chance(m, 60))
        json_object_set_new(iam, "aliases", json_pack("[o]", svc_textf("%s-payer", m->id)));
    if (make_chance(m, 60))
        json_object_set_new(iam, "password_policy",
                            json_pack("{s:i, s:b, s:b, s:b, s:b, s:b, s:b}", "MinimumPasswordLength", 14,
                                      "RequireSymbols", 1, "RequireNumbers", 1, "RequireUppercaseCharacters", 1,
                                      "RequireLowercaseCharacters", 1, "AllowUsersToChangePassword", 1,
                                      "ExpirePasswords", 0));
    if (make_chance(m, 25))
        json_object_set_new(
            iam, "oidc",
            json_pack("[{s:o}]", "Arn",
                      svc_textf("arn:aws:iam::%s:oidc-provider/token.actions.githubusercontent.com", m->w->account)));
}

void make_iam(struct make *m)
{
    iam_group(m, "Administrators", "arn:aws:iam::aws:policy/AdministratorAccess");
    iam_group(m, "Readers", "arn:aws:iam::aws:policy/ReadOnlyAccess");
    make_iam_policy(m, "app-policy-0",
                    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Read\",\"Effect\":\"Allow\",\"Action\":["
                    "\"s3:GetObject\"],\"Resource\":[\"arn:aws:s3:::*/*\"]}]}");
    make_iam_policy(m, "app-policy-1",
                    "{ \"Version\": \"2012-10-17\",\n  \"Statement\": { \"Effect\": \"Allow\", \"Action\": \"logs:*\", "
                    "\"Resource\": \"*\" } }");
    iam_users(m);
    iam_roles(m);
    iam_account(m);
}
