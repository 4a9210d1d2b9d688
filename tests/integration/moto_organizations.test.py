"""Our reads of AWS Organizations against moto_server alone, and our calls of iam, s3, sts and account with it: what boto3 made is
read by our operations through the real client, and every fact is held against what boto3 reads; what ours made, boto3 reads.
moto checks our signatures. Calls that moto lacks are named; one that it learns makes this test fail, so that it gets compared."""
import json
import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # leave nothing behind
sys.path[:0] = [os.path.join(here, "../lib"), os.path.join(here, "ops")]
import moto_cloud  # noqa: E402  (skips when moto_server or boto3 is missing)
import moto_estate as estate  # noqa: E402
import boto3_facts  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

bin_dir = os.path.abspath(sys.argv[1])
PAYER, LONE = "111122223333", "444455556666"
MAY_ALL = estate.document("Allow", "*", Resource="*")
# Reads that moto 5.2 does not have, with arguments that AWS would take.
LACKING = {
    "organizations:DescribeResourcePolicy": {},
    "organizations:ListHandshakesForOrganization": {},
    "organizations:ListHandshakesForAccount": {},
    "organizations:ListInboundResponsibilityTransfers": {"Type": "BILLING"},
    "organizations:ListOutboundResponsibilityTransfers": {"Type": "BILLING"},
    "iam:ListOrganizationsFeatures": {},
    "iam:SimulatePrincipalPolicy": {"PolicySourceArn": f"arn:aws:iam::{PAYER}:user/payer", "ActionNames": ["s3:*"]},
    "account:GetContactInformation": {},
}
# Operations of these services that another name plays already.
LEFT_OUT = {
    "sts:GetCallerIdentity/trusted": "the same request as sts:GetCallerIdentity, of another identity",
    "sts:AssumeRole/probe": "the same request as sts:AssumeRole; moto looks at no trust, so it can refuse nothing",
}
POLICY_TYPES = ["SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY", "TAG_POLICY", "BACKUP_POLICY", "AISERVICES_OPT_OUT_POLICY",
                "CHATBOT_POLICY", "DECLARATIVE_POLICY_EC2"]
SERVICES = ("organizations", "iam", "s3", "sts", "account", "sso", "ram")
BOTO3_NAMES = {"sso": "sso-admin"}


class Ours:
    """Our operations in one account."""

    asked = set()  # by all

    def __init__(self, moto, account, key):
        env = dict(os.environ, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            env.pop(name, None)
        self.account, self.key = account, key["AccessKeyId"]
        self.process = subprocess.Popen([f"{bin_dir}/aws_ops_runner", moto.url, account], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ops = self.ask("")["ops"]

    def ask(self, op, **args):
        self.asked.add(op)
        self.process.stdin.write(json.dumps({"op": op, "args": args, "region": "us-east-1"}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the runner ended at {op} {args}"
        return json.loads(answer)

    def must(self, op, **args):
        answer = self.ask(op, **args)
        assert "error" not in answer, (op, args, answer)
        return answer["facts"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0, "the runner failed"


def make_organization(moto):
    """Returns questions: what there is to read."""
    o = moto.boto("organizations", PAYER)
    o.create_organization(FeatureSet="ALL")
    root = o.list_roots()["Roots"][0]["Id"]
    for kind in ("SERVICE_CONTROL_POLICY", "TAG_POLICY"):
        o.enable_policy_type(RootId=root, PolicyType=kind)
    units = [root]
    for i, parent in enumerate([0, 0, 1, 3, 1]):
        units.append(o.create_organizational_unit(ParentId=units[parent], Name=f"Unit {i} & Söhne")["OrganizationalUnit"]["Id"])
    accounts = []
    for i in range(120):  # more than one page of moto
        status = o.create_account(Email=f"a{i}@acme.example", AccountName=f"Account {i} \"ü\"")["CreateAccountStatus"]
        accounts.append(status["AccountId"])
        o.move_account(AccountId=accounts[-1], SourceParentId=root, DestinationParentId=units[i % len(units)]) if i % len(units) else None
    o.close_account(AccountId=accounts[7])
    policies = []
    for kind, i in (("SERVICE_CONTROL_POLICY", 0), ("SERVICE_CONTROL_POLICY", 1), ("TAG_POLICY", 2)):
        content = estate.document("Deny", ["ec2:*", "s3:Put*"], Resource="*")
        if kind == "TAG_POLICY":
            content = json.dumps({"tags": {"team": {"tag_key": {"@@assign": "Team"}}}}, indent=1)
        made = o.create_policy(Content=content, Description=f"no {i}: ünïcode \\ \"quoted\"", Name=f"policy-{i}", Type=kind)
        policies.append(made["Policy"]["PolicySummary"]["Id"])
        for target in (units[1 + i], accounts[i]):
            o.attach_policy(PolicyId=policies[-1], TargetId=target)
    for principal in ("sso.amazonaws.com", "ram.amazonaws.com", "ssm.amazonaws.com"):
        o.enable_aws_service_access(ServicePrincipal=principal)
    o.register_delegated_administrator(AccountId=accounts[3], ServicePrincipal="ssm.amazonaws.com")
    return ([("organizations:" + name, {}) for name in ("DescribeOrganization", "ListAccounts", "ListRoots", "ListDelegatedAdministrators",
                                                        "ListAWSServiceAccessForOrganization")]
            + [("organizations:ListOrganizationalUnitsForParent", {"ParentId": u}) for u in units]
            + [("organizations:ListAccountsForParent", {"ParentId": u}) for u in units]
            + [("organizations:ListPolicies", {"Filter": kind}) for kind in POLICY_TYPES]
            + [("organizations:" + name, {"PolicyId": p}) for p in [*policies, "p-FullAWSAccess"]
               for name in ("DescribePolicy", "ListTargetsForPolicy")]
            + [("organizations:ListDelegatedServicesForAccount", {"AccountId": accounts[3]})]), accounts[5]


def make_estate(moto):
    estate.furnish(moto, 2, PAYER, attached=None)
    iam, s3 = moto.boto("iam", PAYER), moto.boto("s3", PAYER)
    iam.put_user_policy(UserName="karl.mueller", PolicyName="in", PolicyDocument=estate.document("Allow", "iam:List*", Resource="*"))
    iam.put_role_policy(RoleName="deploy", PolicyName="plain", PolicyDocument=estate.document("Allow", "s3:*", Resource="*"))
    iam.create_virtual_mfa_device(VirtualMFADeviceName="spare")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="karl")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName="karl.mueller", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321")
    iam.create_instance_profile(InstanceProfileName="box")
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="deploy")
    iam.create_saml_provider(SAMLMetadataDocument="x" * 1200, Name="idp")
    bucket = f"house-{PAYER}-logs"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "a & b"}]})
    s3.put_bucket_policy(Bucket=bucket, Policy=estate.document("Allow", "s3:GetObject", Principal="*", Resource=f"arn:aws:s3:::{bucket}/*"))
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": False,
                                                                               "BlockPublicPolicy": True, "RestrictPublicBuckets": False})
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/own"}}]})
    s3.put_object(Bucket=bucket, Key="CUR-1.csv", Body=b"x")
    moto.boto("account", PAYER).put_alternate_contact(AlternateContactType="BILLING", Name="Bill Söhne", Title="CFO",
                                                      EmailAddress="bill@acme.example", PhoneNumber="+49 1")
    moto.boto("ram", PAYER).create_resource_share(name="shared-söhne")
    own, role, user = f"arn:aws:iam::{PAYER}:policy/own/house-rules", {"RoleName": "deploy"}, {"UserName": "karl.mueller"}
    return ([("iam:" + name, {}) for name in ("ListRoles", "GetAccountSummary", "ListAccountAliases", "ListSAMLProviders",
                                              "ListOpenIDConnectProviders", "GetAccountPasswordPolicy")]
            + [("iam:" + name, role) for name in ("GetRole", "ListAttachedRolePolicies", "ListRolePolicies", "ListInstanceProfilesForRole")]
            + [("iam:" + name, user) for name in ("ListAttachedUserPolicies", "ListGroupsForUser")]
            + [("iam:GetRole", {"RoleName": "nobody"}), ("iam:ListAttachedUserPolicies", {"UserName": "payer"}),
               ("iam:GetRolePolicy", dict(role, PolicyName="plain")), ("iam:GetRolePolicy", dict(role, PolicyName="none")),
               ("iam:ListAttachedGroupPolicies", {"GroupName": "devs"}), ("iam:ListPolicies", {"Scope": "Local"}),
               ("iam:GetPolicy", {"PolicyArn": own}), ("iam:GetPolicy", {"PolicyArn": own + "2"}), ("iam:ListPolicyVersions", {"PolicyArn": own}),
               ("iam:GetPolicyVersion", {"PolicyArn": own, "VersionId": "v1"}), ("iam:GetPolicyVersion", {"PolicyArn": own, "VersionId": "v2"}),
               ("iam:GetAccountAuthorizationDetails", {"Filter": ["User", "Role", "Group", "LocalManagedPolicy"]}),
               ("iam:ListVirtualMFADevices", {"AssignmentStatus": "Assigned"}), ("iam:ListVirtualMFADevices", {"AssignmentStatus": "Any"}),
               ("s3:ListBuckets", {}), ("sso:ListInstances", {}), ("ram:GetResourceShares", {})]
            + [("s3:ListObjectsV2", {"Bucket": bucket, "Prefix": p}) for p in ("CUR-", "no")]
            + [("account:GetAlternateContact", {"AlternateContactType": kind}) for kind in ("BILLING", "SECURITY")]
            + [("s3:" + name, {"Bucket": b}) for b in (bucket, f"house-{PAYER}-eu", "nobodys-bucket-4711") for name in
               ("GetBucketLocation", "GetPublicAccessBlock", "GetBucketOwnershipControls", "GetBucketEncryption", "GetBucketTagging",
                "GetBucketPolicy")])


def compare(ours, moto, questions):
    """With callers checked ours are asked; then, unchecked, boto3. Returns how many were equal."""
    moto.check_callers(True)
    answers = [(op, args, ours.ask(op, **args)) for op, args in questions]
    moto.check_callers(False)
    pages = {op: answer["pages"] for op, args, answer in answers if answer.get("pages", 0) > 1}
    assert {"organizations:ListAccounts", "iam:ListRoles"} <= pages.keys(), f"of more than one page: {pages}"
    different = []
    for op, args, answer in answers:
        service = op.partition(":")[0]
        try:
            wanted = boto3_facts.facts(moto.boto(BOTO3_NAMES.get(service, service), ours.account), op, args)
        except ClientError as why:
            wanted = why.response["Error"]["Code"]
        found = answer.get("facts") if "error" not in answer else answer["aws_code"]
        if found is None and isinstance(wanted, str):
            continue  # an error that means "not there"
        if json.dumps(found, sort_keys=True) != json.dumps(wanted, sort_keys=True, default=str):
            texts = [json.dumps(x, sort_keys=True, default=str)[:3000] for x in (args, answer, wanted)]
            different.append("{} {}\n  ours  {}\n  boto3 {}".format(op, *texts))
    assert not different, f"{len(different)} of {len(answers)} differ:\n" + "\n".join(different)
    return len(answers)


def check_lacking(ours, moto):
    """What moto cannot answer comes back as an error of ours, not as facts; and it still cannot."""
    for op, args in LACKING.items():
        answer = ours.ask(op, **args)
        assert "error" in answer, f"moto answers {op} now: compare it. {answer}"
        print(f"NOT COMPARED {op}: moto lacks it; ours says {answer['error']}: {answer['text'][:90]!r}")


def check_others(moto, member):
    """An account without organization, a member account, and a dead key."""
    lone = Ours(moto, LONE, estate.make_user(moto.boto("iam", LONE), "lone", MAY_ALL))
    inside = Ours(moto, member, estate.make_user(moto.boto("iam", member), "inside", MAY_ALL))
    try:
        moto.check_callers(True)
        assert lone.must("organizations:DescribeOrganization") is None
        assert inside.must("organizations:DescribeOrganization")["master_account_id"] == PAYER
        assert inside.must("sts:GetCallerIdentity")["arn"] == f"arn:aws:iam::{member}:user/inside"
        moto.check_callers(False)
        moto.boto("iam", member).delete_access_key(UserName="inside", AccessKeyId=inside.key)
        moto.check_callers(True)
        assert inside.must("sts:GetCallerIdentity/retired") is None, "a dead key is not seen as dead"
        assert inside.ask("iam:ListRoles")["error"] == "aws.credentials"
    finally:
        moto.check_callers(False)
        lone.close()
        inside.close()


def check_writes(ours, moto):
    """Every write of iam and s3, each seen by boto3. moto's check of callers is off: it misreads forms with spaces."""
    iam, s3 = moto.boto("iam", PAYER), moto.boto("s3", PAYER)
    document, other = (json.loads(estate.document("Allow", what, Resource="*")) for what in (["s3:Get*", "ec2:*"], "iam:Get*"))
    trusts = [json.loads(estate.trust({"AWS": f"arn:aws:iam::{LONE}:root"}, Condition={"StringEquals": {"sts:ExternalId": i}}))
              for i in ("r/+ d", "2")]
    role, tag = {"RoleName": "made"}, [{"Key": "doit:onboarding", "Value": "a b"}]

    ours.must("iam:CreateRole", **role, AssumeRolePolicyDocument=trusts[0], Path="/", Description="A & b, 50% <new>",
              MaxSessionDuration=3600, Tags=tag)
    made = iam.get_role(**role)["Role"]
    assert (made["AssumeRolePolicyDocument"], made["Description"], made["Tags"]) == (trusts[0], "A & b, 50% <new>", tag), made
    assert ours.ask("iam:CreateRole", **role, AssumeRolePolicyDocument=trusts[0])["aws_code"] == "EntityAlreadyExists"
    ours.must("iam:UpdateRole", **role, Description="other", MaxSessionDuration=7200)
    ours.must("iam:UpdateAssumeRolePolicy", **role, PolicyDocument=trusts[1])
    made = iam.get_role(**role)["Role"]
    assert (made["AssumeRolePolicyDocument"], made["Description"], made["MaxSessionDuration"]) == (trusts[1], "other", 7200), made

    arn = ours.must("iam:CreatePolicy", PolicyName="made", PolicyDocument=document, Path="/", Tags=tag)["arn"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == tag
    assert ours.must("iam:CreatePolicyVersion", PolicyArn=arn, PolicyDocument=other, SetAsDefault=True)["version"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == other
    ours.must("iam:DeletePolicyVersion", PolicyArn=arn, VersionId="v1")
    assert [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v2"]
    ours.must("iam:AttachRolePolicy", **role, PolicyArn=arn)
    ours.must("iam:PutRolePolicy", **role, PolicyName="in line", PolicyDocument=document)
    assert iam.get_role_policy(**role, PolicyName="in line")["PolicyDocument"] == document
    assert ours.must("iam:GetRolePolicy", **role, PolicyName="in line") == {"document": document}
    iam.create_instance_profile(InstanceProfileName="made")
    iam.add_role_to_instance_profile(InstanceProfileName="made", **role)
    assert ours.ask("iam:DeleteRole", **role)["aws_code"] == "DeleteConflict"
    ours.must("iam:RemoveRoleFromInstanceProfile", **role, InstanceProfileName="made")
    ours.must("iam:DetachRolePolicy", **role, PolicyArn=arn)
    ours.must("iam:DeleteRolePolicy", **role, PolicyName="in line")
    ours.must("iam:DeleteRole", **role)
    ours.must("iam:DeletePolicy", PolicyArn=arn)
    for op, args in (("DeleteRole", role), ("DeletePolicy", {"PolicyArn": arn}), ("DetachRolePolicy", dict(role, PolicyArn=arn))):
        assert ours.must("iam:" + op, **args) is None, "what is gone already is no error"
    key = iam.create_access_key(UserName="karl.mueller")["AccessKey"]["AccessKeyId"]
    ours.must("iam:UpdateAccessKey", UserName="karl.mueller", AccessKeyId=key, Status="Inactive")
    assert key in [k["AccessKeyId"] for k in iam.list_access_keys(UserName="karl.mueller")["AccessKeyMetadata"] if k["Status"] == "Inactive"]
    ours.must("iam:DeleteAccessKey", UserName="karl.mueller", AccessKeyId=key)
    assert key not in [k["AccessKeyId"] for k in iam.list_access_keys(UserName="karl.mueller")["AccessKeyMetadata"]]

    session = ours.must("sts:AssumeRole", RoleArn=f"arn:aws:iam::{LONE}:role/x", RoleSessionName="s", ExternalId="r/+ d", DurationSeconds=900)
    assert session["account"] == LONE and session["arn"] == f"arn:aws:sts::{LONE}:assumed-role/x/s", session["arn"]

    for region in ("us-east-1", "eu-west-1"):
        bucket = {"Bucket": "made-" + region}
        ours.must("s3:CreateBucket", **bucket, Region=region)
        ours.must("s3:PutBucketTagging", **bucket, Tags=tag)
        ours.must("s3:PutPublicAccessBlock", **bucket)
        ours.must("s3:PutBucketOwnershipControls", **bucket, Ownership="BucketOwnerEnforced")
        ours.must("s3:PutBucketEncryption", **bucket)
        ours.must("s3:PutBucketPolicy", **bucket, Policy=json.dumps(dict(document, Id="ü & <b>")))
        assert (s3.get_bucket_location(**bucket).get("LocationConstraint") or "us-east-1") == region
        assert s3.get_bucket_tagging(**bucket)["TagSet"] == tag
        assert json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Id"] == "ü & <b>"
        assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
        if "s3:DeleteBucketPolicy" in ours.ops:
            ours.must("s3:DeleteBucketPolicy", **bucket)
        ours.must("s3:DeleteBucket", **bucket)
        assert ours.must("s3:GetBucketLocation", **bucket) is None
        assert ours.must("s3:DeleteBucket", **bucket) is None


def main(programs):
    moto = moto_cloud.Moto(programs, has_managed_policies=False)
    questions, member = make_organization(moto)
    questions += make_estate(moto)
    ours = Ours(moto, PAYER, estate.make_user(moto.boto("iam", PAYER), "payer", MAY_ALL))
    try:
        equal = compare(ours, moto, questions)
        check_lacking(ours, moto)
        check_writes(ours, moto)
        check_others(moto, member)
        left = {op for op in ours.ops if op.partition(":")[0] in SERVICES} - Ours.asked - LEFT_OUT.keys()
        assert not left, f"operations that this test does not play: {sorted(left)}"
    finally:
        ours.close()
    for op, why in LEFT_OUT.items():
        print(f"LEFT OUT {op}: {why}")
    print(f"{equal} reads equal to boto3's, all writes seen by boto3; {len(Ours.asked - {''})} of our operations played, "
          f"{len(LACKING)} not in moto")


if __name__ == "__main__":
    programs = moto_cloud.Programs()
    try:
        main(programs)
    finally:
        bad = programs.stop()
    if bad:
        sys.exit("\n".join(bad))
