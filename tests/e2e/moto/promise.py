"""What an import must leave in an account, from the profile's own files, and whether it is there. The same questions go through
the aws command line or boto3."""
import json
import os
import re
import subprocess

import moto_estate as estate

PROFILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../deploy/profiles/doit")


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def command_line(key, ports):
    """Asks as the customer's own reader would, at the shell. Refusals come as a text that starts with "error"."""
    env = dict(os.environ, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"], AWS_DEFAULT_REGION="us-east-1",
               AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")

    def look(service, operation, **args):
        words = ["aws", "--endpoint-url", f"http://127.0.0.1:{ports[service]}", "--output", "json", {"s3": "s3api"}.get(service, service),
                 snake(operation).replace("_", "-")]
        for name, value in args.items():
            words += ["--" + snake(name).replace("_", "-"), value]
        done = subprocess.run(words, env=env, check=False, capture_output=True, text=True)
        return json.loads(done.stdout or "null") if done.returncode == 0 else "error " + done.stderr.strip()

    return look


def through_boto3(moto, account):
    return lambda service, operation, **args: getattr(moto.boto(service, account), snake(operation))(**args)


def read(name, names):
    """A template of the profile with its names filled in."""
    with open(os.path.join(PROFILE, name), encoding="utf-8") as file:
        return json.loads(re.sub(r"\{([a-z_]+)\}", lambda m: names[m.group(1)], file.read()))


def promised(row, names):
    with open(os.path.join(PROFILE, "profile.json"), encoding="utf-8") as file:
        profile = json.load(file)
    account, roles = row["organization.management_account_id"], {}
    fixed = {"partition": "aws", "account_id": account, "bucket": names["bucket"], "id": names["id"],
             "trusted_account_id": profile["trusted_account_id"], "operator_account_id": profile["operator"]["account_id"],
             "cloudhealth_external_id": row["vars.cloudhealth_external_id"], "external_id": "ours"}
    for which in row["roles"].split(";"):
        role = profile["roles"][which]
        roles[role["name"]] = {
            "which": which, "trust": read(role["trust"], fixed), "description": role["description"], "session": role["max_session"],
            "policies": {f"arn:aws:iam::{account}:policy/{p['name']}": read(p["document"], fixed) for p in role["policies"]}}
    return {"account": account, "roles": roles, "tag": {"Key": estate.TAG, "Value": names["id"]}, "bucket": names["bucket"],
            "region": row["region"], "bucket_policy": read(profile["bucket_policy"], fixed), "report": names["report"]}


def plain(document):
    """IAM says lists of one as plain text or as lists: both mean the same."""
    if isinstance(document, dict):
        return {k: plain(v) for k, v in document.items()}
    if isinstance(document, list) and len(document) == 1 and isinstance(document[0], str):
        return document[0]
    return sorted(document) if isinstance(document, list) and all(isinstance(x, str) for x in document) else \
        [plain(x) for x in document] if isinstance(document, list) else document


def same(what, found, wanted):
    assert found == wanted, f"{what}\nfound  {json.dumps(found, default=str)}\nwanted {json.dumps(wanted, default=str)}"


def check_role(look, promise, name, wanted):
    """Returns its external id."""
    role = look("iam", "GetRole", RoleName=name)["Role"]
    trust = role["AssumeRolePolicyDocument"]
    external_id = trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]
    if wanted["which"] == "cloudhealth":
        same("the vendor's id", external_id, wanted["trust"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"])
    else:
        assert len(external_id) >= 16, external_id
        wanted["trust"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"] = external_id
    same(f"trust of {name}", plain(trust), plain(wanted["trust"]))
    same(f"{name}", (role.get("Description"), role["MaxSessionDuration"], role["Tags"], role["Path"]),
         (wanted["description"], wanted["session"], [promise["tag"]], "/"))
    attached = look("iam", "ListAttachedRolePolicies", RoleName=name)["AttachedPolicies"]
    same(f"policies of {name}", sorted(p["PolicyArn"] for p in attached), sorted(wanted["policies"]))
    for arn, document in wanted["policies"].items():
        policy = look("iam", "GetPolicy", PolicyArn=arn)["Policy"]
        same(f"tags of {arn}", policy["Tags"], [promise["tag"]])
        version = look("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        same(f"document of {arn}", plain(version["Document"]), plain(document))
    return external_id


def check_bucket(look, promise):
    name = promise["bucket"]
    blocks = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    where = look("s3", "GetBucketLocation", Bucket=name).get("LocationConstraint") or "us-east-1"
    same("region", where, promise["region"])
    same("public access", look("s3", "GetPublicAccessBlock", Bucket=name)["PublicAccessBlockConfiguration"], blocks)
    ownership = look("s3", "GetBucketOwnershipControls", Bucket=name)["OwnershipControls"]["Rules"]
    same("ownership", ownership, [{"ObjectOwnership": "BucketOwnerEnforced"}])
    encryption = look("s3", "GetBucketEncryption", Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    same("encryption", [r["ApplyServerSideEncryptionByDefault"] for r in encryption], [{"SSEAlgorithm": "AES256"}])
    same("tags", look("s3", "GetBucketTagging", Bucket=name)["TagSet"], [promise["tag"]])
    policy = json.loads(look("s3", "GetBucketPolicy", Bucket=name)["Policy"])
    same("bucket policy", plain(policy["Statement"]), plain(promise["bucket_policy"]))


def check(look, promise):
    """All of it. Returns our external id."""
    ids = {wanted["which"]: check_role(look, promise, name, wanted) for name, wanted in promise["roles"].items()}
    check_bucket(look, promise)
    same("one external id for our own roles", ids["cmp"], ids["awsadmin"])
    return ids["cmp"]


def changes(promise, handed_over):
    """Every difference that boto3 may see in the account, and must. handed_over: the user whose key it was, or None."""
    paths = {f"/buckets/{promise['bucket']}"}
    for name, wanted in promise["roles"].items():
        paths |= {f"/roles/{name}", f"/role settings/{name}"} | {f"/policies/{arn}" for arn in wanted["policies"]}
    if handed_over:
        paths.add(f"/keys/{handed_over}")
    return paths
