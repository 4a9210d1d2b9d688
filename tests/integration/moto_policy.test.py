"""A second opinion on the generated policy: moto_server, which nobody here wrote, with its own judge of policies switched on. Every
iam, sts and s3 call of the playbook is accepted under exactly what `orgimport policy` prints, and refused with that one action taken
out. What moto cannot judge is taken out of its copy of the documents, and only that: conditions (it denies what it cannot evaluate),
resources of iam (it asks for `*`). Arg 1: folder of the programs."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import moto_cloud  # noqa: E402  (skips when moto_server or boto3 is missing)
import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from fleet import run  # noqa: E402

DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}
# moto takes these sub-resources of a bucket for the bucket itself and asks about another action.
NOT_JUDGED = {"s3:" + verb + what for verb in ("Get", "Put") for what in ("BucketPublicAccessBlock", "BucketOwnershipControls", "EncryptionConfiguration")}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::068664126052:root"},
                                                            "Action": "sts:AssumeRole"}]})
SOME = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ce:Get*", "Resource": "*"}]})


def calls(names, user, key_id):
    """(permission, service, method, arguments) in an order that works. `names`: of the example customer."""
    role, bucket, arn = {"RoleName": "doitintl_cmp"}, {"Bucket": names["bucket"]}, {"PolicyArn": names["policy_arn"]}
    tags = [{"Key": "doit:onboarding", "Value": "x"}]
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    ownership = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    bucket_policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Principal": {
        "Service": "billingreports.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::%s/*" % names["bucket"]}]})
    return [
        ("iam:ListRoles", "iam", "list_roles", {}),
        ("iam:ListPolicies", "iam", "list_policies", {"Scope": "Local"}),
        ("iam:GetAccountSummary", "iam", "get_account_summary", {}),
        ("iam:GetAccountAuthorizationDetails", "iam", "get_account_authorization_details", {}),
        ("iam:GetAccountPasswordPolicy", "iam", "get_account_password_policy", {}),
        ("iam:ListAccountAliases", "iam", "list_account_aliases", {}),
        ("iam:ListSAMLProviders", "iam", "list_saml_providers", {}),
        ("iam:ListOpenIDConnectProviders", "iam", "list_open_id_connect_providers", {}),
        ("iam:ListVirtualMFADevices", "iam", "list_virtual_mfa_devices", {}),
        ("iam:CreateRole", "iam", "create_role", dict(role, AssumeRolePolicyDocument=TRUST, Tags=tags)),
        ("iam:GetRole", "iam", "get_role", role),
        ("iam:UpdateAssumeRolePolicy", "iam", "update_assume_role_policy", dict(role, PolicyDocument=TRUST)),
        ("iam:UpdateRole", "iam", "update_role", dict(role, MaxSessionDuration=3600)),
        ("iam:CreatePolicy", "iam", "create_policy", {"PolicyName": "doitintl_cmp", "PolicyDocument": SOME, "Tags": tags}),
        ("iam:GetPolicy", "iam", "get_policy", arn),
        ("iam:CreatePolicyVersion", "iam", "create_policy_version", dict(arn, PolicyDocument=SOME)),
        ("iam:GetPolicyVersion", "iam", "get_policy_version", dict(arn, VersionId="v1")),
        ("iam:ListPolicyVersions", "iam", "list_policy_versions", arn),
        ("iam:DeletePolicyVersion", "iam", "delete_policy_version", dict(arn, VersionId="v2")),
        ("iam:AttachRolePolicy", "iam", "attach_role_policy", dict(role, **arn)),
        ("iam:ListAttachedRolePolicies", "iam", "list_attached_role_policies", role),
        ("iam:PutRolePolicy", "iam", "put_role_policy", dict(role, PolicyName="in", PolicyDocument=SOME)),
        ("iam:GetRolePolicy", "iam", "get_role_policy", dict(role, PolicyName="in")),
        ("iam:ListRolePolicies", "iam", "list_role_policies", role),
        ("iam:ListInstanceProfilesForRole", "iam", "list_instance_profiles_for_role", role),
        ("iam:RemoveRoleFromInstanceProfile", "iam", "remove_role_from_instance_profile", dict(role, InstanceProfileName="none")),
        ("iam:DeleteRolePolicy", "iam", "delete_role_policy", dict(role, PolicyName="in")),
        ("iam:DetachRolePolicy", "iam", "detach_role_policy", dict(role, **arn)),
        ("iam:DeletePolicy", "iam", "delete_policy", arn),
        ("iam:DeleteRole", "iam", "delete_role", role),
        ("s3:ListAllMyBuckets", "s3", "list_buckets", {}),
        ("s3:CreateBucket", "s3", "create_bucket", bucket),
        ("s3:ListBucket", "s3", "list_objects_v2", bucket),
        ("s3:GetBucketLocation", "s3", "get_bucket_location", bucket),
        ("s3:PutBucketPublicAccessBlock", "s3", "put_public_access_block", dict(bucket, PublicAccessBlockConfiguration=block)),
        ("s3:GetBucketPublicAccessBlock", "s3", "get_public_access_block", bucket),
        ("s3:PutBucketOwnershipControls", "s3", "put_bucket_ownership_controls", dict(bucket, OwnershipControls=ownership)),
        ("s3:GetBucketOwnershipControls", "s3", "get_bucket_ownership_controls", bucket),
        ("s3:PutEncryptionConfiguration", "s3", "put_bucket_encryption", dict(bucket, ServerSideEncryptionConfiguration=encryption)),
        ("s3:GetEncryptionConfiguration", "s3", "get_bucket_encryption", bucket),
        ("s3:PutBucketTagging", "s3", "put_bucket_tagging", dict(bucket, Tagging={"TagSet": tags})),
        ("s3:GetBucketTagging", "s3", "get_bucket_tagging", bucket),
        ("s3:PutBucketPolicy", "s3", "put_bucket_policy", dict(bucket, Policy=bucket_policy)),
        ("s3:GetBucketPolicy", "s3", "get_bucket_policy", bucket),
        ("s3:DeleteBucketPolicy", "s3", "delete_bucket_policy", bucket),
        ("s3:DeleteBucket", "s3", "delete_bucket", bucket),
        ("sts:GetCallerIdentity", "sts", "get_caller_identity", {}),  # needs no permission
        ("iam:UpdateAccessKey", "iam", "update_access_key", {"UserName": user, "AccessKeyId": key_id, "Status": "Active"}),
        ("iam:DeleteAccessKey", "iam", "delete_access_key", {"UserName": user, "AccessKeyId": key_id}),
    ]


def for_moto(document, without=None):
    statements = []
    for one in json.loads(json.dumps(document))["Statement"]:
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        one["Action"] = [a for a in actions if a != without]
        one.pop("Condition", None)
        if all(a.startswith("iam:") for a in actions):
            one["Resource"] = "*"
        if one["Action"]:
            statements.append(one)
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Account:
    def __init__(self, moto, account, documents):
        self.moto, self.account, self.documents = moto, account, documents
        self.iam = moto.boto("iam", account)

    def user(self, name, without=None):
        self.iam.create_user(UserName=name)
        for one in self.documents:
            arn = self.iam.create_policy(PolicyName="%s-%s" % (name, one["name"]), PolicyDocument=for_moto(one["document"], without))
            self.iam.attach_user_policy(UserName=name, PolicyArn=arn["Policy"]["Arn"])
        return self.iam.create_access_key(UserName=name)["AccessKey"]

    def ask(self, key, service, method, arguments):
        """The error's code, "" when it went well."""
        client = boto3.client(service, endpoint_url=self.moto.url, region_name="us-east-1", aws_access_key_id=key["AccessKeyId"],
                              aws_secret_access_key=key["SecretAccessKey"], config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}))
        try:
            getattr(client, method)(**arguments)
            return ""
        except ClientError as error:
            return error.response["Error"]["Code"]


def moto_says_the_same(fleet):
    answer = fleet.dispatcher().post("/v1/policies?method=sealed_key")
    assert answer.status == 200, answer
    policy = answer.json["data"][0]
    bucket = next(s["Resource"] for d in policy["documents"] for s in d["document"]["Statement"] if s["Sid"] == "ChangeOurBucket")
    names = {"bucket": bucket.rsplit(":", 1)[1], "policy_arn": "arn:aws:iam::%s:policy/doitintl_cmp" % policy["account_id"]}
    programs = moto_cloud.Programs()
    try:
        moto = moto_cloud.Moto(programs, has_managed_policies=False)
        account = Account(moto, policy["account_id"], policy["documents"])
        mine = {one["action"] for one in policy["actions"] if one["action"].split(":")[0] in ("iam", "s3")}
        key = account.user("orgimport")
        every = calls(names, "orgimport", key["AccessKeyId"])
        untold = mine - {one[0] for one in every} - {"iam:SimulatePrincipalPolicy", "iam:TagRole", "iam:TagPolicy", "iam:ListOrganizationsFeatures"}
        assert not untold, "moto is not asked about %s" % sorted(untold)
        users = {one[0]: account.user("no-" + one[0].replace(":", "-"), one[0]) for one in every if one[0] in mine}
        unjudged = []
        moto.check_callers(True)
        for permission, service, method, arguments in every:
            if permission in users:
                code = account.ask(users[permission], service, method, arguments)
                if permission in NOT_JUDGED and code not in DENIED:
                    unjudged.append(permission)
                else:
                    assert code in DENIED, "without %s moto answers %r" % (permission, code or "yes")
            code = account.ask(key, service, method, arguments)
            assert code not in DENIED, "moto refuses %s under the whole policy (%s)" % (permission, code)
        print("%d calls accepted under the printed policy, %d refused with their action taken out" % (len(every), len(users) - len(unjudged)))
        print("not judged by moto:", ", ".join(unjudged))
        for service, method, arguments in (("iam", "create_user", {"UserName": "x"}), ("iam", "create_access_key", {"UserName": "orgimport"}),
                                           ("s3", "create_bucket", {"Bucket": "somebody-elses-bucket"}), ("s3", "get_object", {"Bucket": names["bucket"], "Key": "a"})):
            code = account.ask(users["iam:ListRoles"], service, method, arguments)
            assert code in DENIED, "moto lets %s through: %r" % (method, code)
    finally:
        bad = programs.stop()
    assert not bad, bad


if __name__ == "__main__":
    run([moto_says_the_same], sys.argv[1])
