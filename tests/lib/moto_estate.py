"""What customers' accounts in moto hold before we come, and what they hold afterwards, read with boto3."""
import json

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
TAG = "doit:onboarding"


def document(effect, actions, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [dict({"Effect": effect, "Action": actions}, **more)]})


def trust(principal, **more):
    return document("Allow", "sts:AssumeRole", Principal=principal, **more)


def make_user(iam, name, *policies):
    """Returns the user's key. Policies are ARNs, or documents that go in line."""
    iam.create_user(UserName=name, Tags=[{"Key": "cost center", "Value": "IT & Köln"}])
    for policy in policies:
        if policy.startswith("arn:"):
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        else:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
    return iam.create_access_key(UserName=name)["AccessKey"]


def furnish(moto, number, account, attached="arn:aws:iam::aws:policy/ReadOnlyAccess"):
    """Things of the customer's own, of every sort that the fingerprint reads. None may change."""
    iam = moto.boto("iam", account)
    iam.create_role(RoleName="deploy", Path="/ci/", Description="Our own <deployer> & co", MaxSessionDuration=7200,
                    AssumeRolePolicyDocument=trust({"Service": "ec2.amazonaws.com"}), Tags=[{"Key": "team", "Value": "a+b c/d"}])
    iam.put_role_policy(RoleName="deploy", PolicyName="all of it", PolicyDocument=document("Allow", ["s3:*", "ec2:*"], Resource="*"))
    own = iam.create_policy(PolicyName="house-rules", Path="/own/", PolicyDocument=document("Deny", "iam:*", Resource="*"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=own, PolicyDocument=document("Deny", "ec2:*", Resource="*"), SetAsDefault=True)
    iam.attach_role_policy(RoleName="deploy", PolicyArn=attached or own)
    iam.create_group(GroupName="devs")
    iam.attach_group_policy(GroupName="devs", PolicyArn=own)
    iam.put_group_policy(GroupName="devs", PolicyName="look", PolicyDocument=document("Allow", "s3:Get*", Resource="*"))
    make_user(iam, "karl.mueller")
    iam.add_user_to_group(GroupName="devs", UserName="karl.mueller")
    for i in range(number % 3 * 60):  # so many that some accounts need a second page of roles
        iam.create_role(RoleName=f"lambda-{i:03}", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
    iam.create_account_alias(AccountAlias=f"house-{account}")
    iam.update_account_password_policy(MinimumPasswordLength=14, RequireSymbols=True)
    iam.create_open_id_connect_provider(Url=f"https://id.example.com/{account}", ThumbprintList=["0" * 40], ClientIDList=["ci"])
    moto.boto("s3", account).create_bucket(Bucket=f"house-{account}-logs")
    moto.boto("s3", account).create_bucket(Bucket=f"house-{account}-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def pages(client, operation, *lists, **args):
    found = {name: [] for name in lists}
    for page in client.get_paginator(operation).paginate(**args):
        for name in lists:
            found[name] += page[name]
    return found


def by_name(items, name, *drop):
    return {item[name]: {k: v for k, v in item.items() if k not in drop} for item in items}


def picture(moto, account):
    """The account as boto3 sees it: everything that the import must leave alone, and what it made."""
    iam, s3 = moto.boto("iam", account), moto.boto("s3", account)
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    found = pages(iam, "get_account_authorization_details", *lists, Filter=["User", "Role", "Group", "LocalManagedPolicy"])
    roles = {r["RoleName"]: iam.get_role(RoleName=r["RoleName"])["Role"] for r in found["RoleDetailList"]
             if not r["RoleName"].startswith("lambda-")}
    seen = {
        "users": by_name(found["UserDetailList"], "UserName"),
        "keys": {u["UserName"]: [k["AccessKeyId"] for k in iam.list_access_keys(UserName=u["UserName"])["AccessKeyMetadata"]]
                 for u in found["UserDetailList"]},
        "groups": by_name(found["GroupDetailList"], "GroupName"),
        "roles": by_name(found["RoleDetailList"], "RoleName", "RoleLastUsed"),
        "role settings": {n: (r.get("Description"), r["MaxSessionDuration"], r.get("Tags")) for n, r in roles.items()},
        "policies": by_name(found["Policies"], "Arn", "AttachmentCount"),
        "aliases": iam.list_account_aliases()["AccountAliases"],
        "password policy": iam.get_account_password_policy()["PasswordPolicy"],
        "identity providers": [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]],
        "buckets": {b["Name"]: s3.get_bucket_location(Bucket=b["Name"]).get("LocationConstraint") or "us-east-1"
                    for b in s3.list_buckets()["Buckets"]},
    }
    return json.loads(json.dumps(seen, default=str, sort_keys=True))


def differences(before, after, path=""):
    """What changed, as {path: (before, after)}; members of maps one by one."""
    found = {}
    for name in sorted(set(before) | set(after)):
        a, b, where = before.get(name), after.get(name), f"{path}/{name}"
        if a == b:
            continue
        if not path and isinstance(a, dict) and isinstance(b, dict):
            found.update(differences(a, b, where))
        else:
            found[where] = (a, b)
    return found
