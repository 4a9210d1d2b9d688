"""What boto3 makes of the reads that we have too, in the shape of our facts. It shares nothing with our parsers."""
import calendar
import datetime
import json

import moto_estate as estate


def ms(when):
    """Milliseconds, as AWS's own times have them: what is finer is dropped."""
    return calendar.timegm(when.utctimetuple()) * 1000 + when.microsecond // 1000 if isinstance(when, datetime.datetime) else when


def pick(item, **names):
    """Facts from an item of boto3's, ours=theirs; what is not there is left out, times become milliseconds."""
    return {ours: ms(item[theirs]) for ours, theirs in names.items() if theirs in item}


def tags(item):
    return {t["Key"]: t["Value"] for t in item.get("Tags", [])}


def every(client, operation, member, **args):
    found, more = [], {}
    while True:
        page = getattr(client, operation)(**args, **more)
        found += page[member]
        if not page.get("NextToken"):
            return found
        more = {"NextToken": page["NextToken"]}


# ---- What boto3 makes of the same reads -----------------------------------------------------------------------------------


def organizations_facts(o, op, args):
    name = op.partition(":")[2]
    if name == "DescribeOrganization":
        return pick(o.describe_organization()["Organization"], id="Id", arn="Arn", feature_set="FeatureSet",
                    master_account_id="MasterAccountId", master_arn="MasterAccountArn", master_email="MasterAccountEmail")
    if name == "ListAccounts":
        return {"accounts": [dict(pick(a, id="Id", arn="Arn", email="Email", name="Name", state="State", joined_method="JoinedMethod",
                                       joined_ms="JoinedTimestamp"), paths=a.get("Paths", [])) for a in every(o, "list_accounts", "Accounts")]}
    if name == "ListRoots":
        return {"roots": [dict(pick(r, id="Id", arn="Arn", name="Name"), policy_types=[pick(t, type="Type", status="Status")
                                                                                    for t in r["PolicyTypes"]])
                          for r in every(o, "list_roots", "Roots")]}
    if name == "ListOrganizationalUnitsForParent":
        return {"ous": [pick(u, id="Id", arn="Arn", name="Name")
                        for u in every(o, "list_organizational_units_for_parent", "OrganizationalUnits", **args)]}
    if name == "ListAccountsForParent":
        return {"accounts": [a["Id"] for a in every(o, "list_accounts_for_parent", "Accounts", **args)]}
    if name == "ListPolicies":
        return {"policies": [pick(p, id="Id", arn="Arn", name="Name", description="Description", type="Type", aws_managed="AwsManaged")
                             for p in every(o, "list_policies", "Policies", **args)]}
    if name == "DescribePolicy":
        policy = o.describe_policy(**args)["Policy"]
        return {"id": policy["PolicySummary"]["Id"], "content": json.loads(policy["Content"])}
    if name == "ListTargetsForPolicy":
        return {"targets": [t["TargetId"] for t in every(o, "list_targets_for_policy", "Targets", **args)]}
    if name == "ListAWSServiceAccessForOrganization":
        return {"services": [pick(s, principal="ServicePrincipal", enabled_ms="DateEnabled")
                             for s in every(o, "list_aws_service_access_for_organization", "EnabledServicePrincipals")]}
    if name == "ListDelegatedAdministrators":
        return {"administrators": [a["Id"] for a in every(o, "list_delegated_administrators", "DelegatedAdministrators")]}
    if name == "ListDelegatedServicesForAccount":
        return {"services": [s["ServicePrincipal"] for s in every(o, "list_delegated_services_for_account", "DelegatedServices", **args)]}
    raise AssertionError(f"{op} is not compared")


def role_facts(r):
    return dict(pick(r, name="RoleName", arn="Arn", path="Path", role_id="RoleId", created_ms="CreateDate", description="Description",
                     max_session="MaxSessionDuration", trust="AssumeRolePolicyDocument"), tags=tags(r))


def inventory_facts(iam, args):
    found = estate.pages(iam, "get_account_authorization_details", "UserDetailList", "GroupDetailList", "RoleDetailList", "Policies", **args)

    def principal(item, inline, **names):
        facts = pick(item, path="Path", arn="Arn", **names)
        facts["policies"] = [p["PolicyArn"] for p in item.get("AttachedManagedPolicies", [])]
        facts["inline"] = {p["PolicyName"]: p["PolicyDocument"] for p in item.get(inline, [])}
        profiles = [p["InstanceProfileName"] for p in item.get("InstanceProfileList", [])]
        return dict(facts, tags=tags(item), **({"instance_profiles": profiles} if profiles else {}))

    return {
        "users": [principal(u, "UserPolicyList", name="UserName", user_id="UserId", groups="GroupList") for u in found["UserDetailList"]],
        "groups": [principal(g, "GroupPolicyList", name="GroupName", group_id="GroupId") for g in found["GroupDetailList"]],
        "roles": [principal(r, "RolePolicyList", name="RoleName", role_id="RoleId", trust="AssumeRolePolicyDocument")
                  for r in found["RoleDetailList"]],
        "policies": [dict(pick(p, arn="Arn", path="Path", default_version="DefaultVersionId"),
                          document=next(v["Document"] for v in p["PolicyVersionList"] if v["IsDefaultVersion"])) for p in found["Policies"]],
    }


def iam_facts(iam, op, args):
    name = op.partition(":")[2]
    simple = {  # operation: boto3's, member, what of each, ours
        "ListAttachedRolePolicies": ("list_attached_role_policies", "AttachedPolicies", "PolicyArn", "policies"),
        "ListAttachedUserPolicies": ("list_attached_user_policies", "AttachedPolicies", "PolicyArn", "policies"),
        "ListAttachedGroupPolicies": ("list_attached_group_policies", "AttachedPolicies", "PolicyArn", "policies"),
        "ListGroupsForUser": ("list_groups_for_user", "Groups", "GroupName", "groups"),
        "ListRolePolicies": ("list_role_policies", "PolicyNames", None, "names"),
        "ListInstanceProfilesForRole": ("list_instance_profiles_for_role", "InstanceProfiles", "InstanceProfileName", "names"),
        "ListAccountAliases": ("list_account_aliases", "AccountAliases", None, "aliases"),
        "ListSAMLProviders": ("list_saml_providers", "SAMLProviderList", "Arn", "providers"),
        "ListOpenIDConnectProviders": ("list_open_id_connect_providers", "OpenIDConnectProviderList", "Arn", "providers"),
    }
    if name in simple:
        call, member, of_each, ours = simple[name]
        return {ours: [x[of_each] if of_each else x for x in getattr(iam, call)(**args)[member]]}
    if name == "GetRole":
        return role_facts(iam.get_role(**args)["Role"])
    if name == "ListRoles":
        return {"roles": [pick(r, name="RoleName", path="Path", arn="Arn", role_id="RoleId", description="Description",
                               max_session="MaxSessionDuration")
                          for r in estate.pages(iam, "list_roles", "Roles")["Roles"]]}
    if name == "GetRolePolicy":
        return {"document": iam.get_role_policy(**args)["PolicyDocument"]}
    if name == "ListPolicies":
        return {"policies": [pick(p, name="PolicyName", arn="Arn", path="Path")
                             for p in estate.pages(iam, "list_policies", "Policies", Scope="Local")["Policies"]]}
    if name == "GetPolicy":
        p = iam.get_policy(**args)["Policy"]
        return dict(pick(p, arn="Arn", name="PolicyName", path="Path", policy_id="PolicyId", default_version="DefaultVersionId",
                         attachments="AttachmentCount", description="Description"), tags=tags(p))
    if name == "GetPolicyVersion":
        return pick(iam.get_policy_version(**args)["PolicyVersion"], version="VersionId", is_default="IsDefaultVersion", document="Document")
    if name == "ListPolicyVersions":
        return {"versions": [pick(v, version="VersionId", is_default="IsDefaultVersion", created_ms="CreateDate")
                             for v in iam.list_policy_versions(**args)["Versions"]]}
    if name == "GetAccountSummary":
        return {"summary": iam.get_account_summary()["SummaryMap"]}
    if name == "GetAccountAuthorizationDetails":
        return inventory_facts(iam, args)
    if name == "GetAccountPasswordPolicy":
        policy = iam.get_account_password_policy()["PasswordPolicy"]
        return {"policy": {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in policy.items()}}
    if name == "ListVirtualMFADevices":
        devices = iam.list_virtual_mfa_devices(**args)["VirtualMFADevices"]
        return {"devices": [dict(pick(d, serial="SerialNumber"), **pick(d.get("User", {}), user_arn="Arn")) for d in devices]}
    raise AssertionError(f"{op} is not compared")


def s3_facts(s3, op, args):
    name = op.partition(":")[2]
    if name == "ListBuckets":
        return {"buckets": [pick(b, name="Name", created_ms="CreationDate", region="BucketRegion") for b in s3.list_buckets()["Buckets"]]}
    if name == "GetBucketLocation":
        return {"region": s3.get_bucket_location(**args).get("LocationConstraint") or "us-east-1"}
    if name == "GetBucketTagging":
        return {"tags": {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(**args)["TagSet"]}}
    if name == "GetBucketPolicy":
        return {"policy": s3.get_bucket_policy(**args)["Policy"]}
    if name == "GetBucketOwnershipControls":
        return {"ownership": s3.get_bucket_ownership_controls(**args)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]}
    if name == "GetBucketEncryption":
        rule = s3.get_bucket_encryption(**args)["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        return pick(rule, algorithm="SSEAlgorithm", key="KMSMasterKeyID")
    if name == "GetPublicAccessBlock":
        block = s3.get_public_access_block(**args)["PublicAccessBlockConfiguration"]
        return dict(pick(block, block_public_acls="BlockPublicAcls", ignore_public_acls="IgnorePublicAcls",
                         block_public_policy="BlockPublicPolicy", restrict_public_buckets="RestrictPublicBuckets"), all=all(block.values()))
    if name == "ListObjectsV2":
        page = s3.list_objects_v2(**args)
        first = [pick(o, key="Key", modified_ms="LastModified") for o in page.get("Contents", [])[:1]]
        return dict({"count": page["KeyCount"]}, **({"first": first[0]} if first else {}))
    raise AssertionError(f"{op} is not compared")


def other_facts(client, op, args):
    if op == "sts:GetCallerIdentity":
        return pick(client.get_caller_identity(), account="Account", arn="Arn", user_id="UserId")
    if op == "sso:ListInstances":
        return {"instances": [pick(i, arn="InstanceArn", identity_store="IdentityStoreId", owner="OwnerAccountId", status="Status")
                              for i in client.list_instances()["Instances"]]}
    if op == "ram:GetResourceShares":
        return {"shares": [pick(s, arn="resourceShareArn", name="name", status="status")
                           for s in client.get_resource_shares(resourceOwner="SELF")["resourceShares"]]}
    if op == "account:GetAlternateContact":
        contact = client.get_alternate_contact(**args)["AlternateContact"]
        return pick(contact, name="Name", title="Title", email="EmailAddress", phone="PhoneNumber")
    raise AssertionError(f"{op} is not compared")


FACTS = {"organizations": organizations_facts, "iam": iam_facts, "s3": s3_facts}


def facts(client, op, args):
    return FACTS.get(op.partition(":")[0], other_facts)(client, op, args)
