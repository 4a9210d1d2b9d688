"""Nothing is left out of a fingerprint by accident: every member that AWS's own models know is changed once in a made-up
answer. Either the root changes, or worker/steps/fingerprint_dropped.def says why it may not. Arg 1: folder of the programs."""
import datetime
import fnmatch
import json
import os
import re
import subprocess
import sys
import urllib.parse
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import botocore_new  # noqa: E402,F401
import botocore.session  # noqa: E402

PROGRAM = os.path.join(sys.argv[1], "fingerprint_members")
if not os.path.exists(PROGRAM):
    print("SKIPPED: fingerprint_members is not built")
    sys.exit(77)
SERVICES = {"tax": "taxsettings", "sso": "sso-admin", "bcm-data-exports": "bcm-data-exports"}
SKIPPED = {"s3:GetBucketLocation", "organizations:ListAccountsForParent"}  # asked only where a list does not tell
TOKENS = {"NextToken", "nextToken", "Marker", "IsTruncated", "LastToken", "ContinuationToken", "Owner", "Prefix"}
DOCUMENTS = re.compile(r"(PolicyDocument|Document|Policy\.Content|ResourcePolicy\.Content)$")
FIXED = {"Accounts[].Paths[]": "o-1/r-1/111122223333/", "Accounts[].Id": "111122223333", "Roots[].Id": "r-1",
         "Handshakes[].State": "OPEN", "SummaryMap{}": 1, "trailList[].HomeRegion": "us-east-1", "PolicyVersionList[].VersionId": "v1",
         "Policies[].DefaultVersionId": "v1", "Policies[].PolicyVersionList[].VersionId": "v1", "Buckets[].BucketRegion": "us-east-1",
         "VirtualMFADevices[].User.Arn": "arn:aws:iam::111122223333:root", "RoleDetailList[].RoleName": "app", "Roles[].RoleName": "app",
         "Handshakes[].Parties[].Type": "ACCOUNT"}
OTHER = {"Accounts[].Paths[]": "o-1/ou-9/111122223333/", "Handshakes[].State": "REQUESTED", "SummaryMap{}": 0}
session = botocore.session.get_session()
leaves, current = {}, [""]


def sample(shape, path, changed, seen=()):
    """A value of that shape; `changed` is the leaf that gets another value."""
    if shape.type_name == "structure":
        if shape.name in seen:
            return None
        out = {}
        for name, member in shape.members.items():
            if name in TOKENS:
                continue
            value = sample(member, (path + "." + name).lstrip("."), changed, seen + (shape.name,))
            if value is not None:
                out[name] = value
        return out
    if shape.type_name == "list":
        value = sample(shape.member, path + "[]", changed, seen)
        return None if value is None else [value]
    if shape.type_name == "map":
        keys = ["AccountMFAEnabled", "AccountAccessKeysPresent"] if path == "SummaryMap" else ["Key"]
        value = sample(shape.value, path + "{}", changed, seen)
        return None if value is None else {key: value for key in keys}
    return leaf(shape, path, path == changed)


def leaf(shape, path, is_changed):
    leaves.setdefault(path, shape.type_name)
    if path in FIXED:
        return OTHER.get(path, str(FIXED[path]) + "0") if is_changed else FIXED[path]
    if shape.type_name == "boolean":
        return not is_changed
    if shape.type_name in ("integer", "long", "float", "double"):
        return 6 if is_changed else 5
    if shape.type_name == "timestamp":
        return 1600000001 if is_changed else 1600000000
    if DOCUMENTS.search(path):
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "x" if is_changed else "y"}]})
    own = current[0] + " " + path
    values = getattr(shape, "enum", None) or [own, own + "-other"]
    return values[-1] if is_changed else values[0]


def xml(shape, name, value):
    """As AWS's query and S3 protocols write it."""
    if value is None:
        return ""
    if shape.type_name == "structure":
        return "<%s>%s</%s>" % (name, "".join(xml(member, member.serialization.get("name", key), value.get(key))
                                              for key, member in shape.members.items()), name)
    if shape.type_name == "list":
        inner = shape.member.serialization.get("name", "member")
        return "<%s>%s</%s>" % (name, "".join(xml(shape.member, inner, one) for one in value), name)
    if shape.type_name == "map":
        return "<%s>%s</%s>" % (name, "".join("<entry><key>%s</key><value>%s</value></entry>" % pair for pair in value.items()), name)
    if shape.type_name == "boolean":
        text = "true" if value else "false"
    elif shape.type_name == "timestamp":
        text = datetime.datetime.fromtimestamp(value, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        text = str(value)
    if text.startswith("{"):
        text = urllib.parse.quote(text, safe="")
    return "<%s>%s</%s>" % (name, escape(text), name)


def body(op, changed=None):
    service, action = op.split(":")
    current[0] = op
    model = session.get_service_model(SERVICES.get(service, service)).operation_model(action)
    value = sample(model.output_shape, "", changed) if model.output_shape else {}
    protocol = model.service_model.metadata["protocol"]
    if protocol == "query":
        inner = "".join(xml(member, key, value.get(key)) for key, member in model.output_shape.members.items())
        return "<%sResponse><%sResult>%s</%sResult></%sResponse>" % (action, action, inner, action, action)
    if protocol == "rest-xml":
        return xml(model.output_shape, "ListAllMyBucketsResult", value)
    return json.dumps(value)


ops = subprocess.run([PROGRAM, "--ops"], capture_output=True, text=True, check=True).stdout.split()
table = [line.split("\t") for line in subprocess.run([PROGRAM, "--dropped"], capture_output=True, text=True, check=True).stdout.splitlines()]
base, asked = {}, []
for op in ops:
    if op in SKIPPED:
        continue
    leaves.clear()
    base[op] = body(op)
    asked += [(op, path) for path in list(leaves) if body(op, path) != base[op]]  # some enums know one value only
# The tree ends below its first OU.
children = "organizations:ListOrganizationalUnitsForParent"
base[children + "|r-1"], base[children] = base[children], json.dumps({"OrganizationalUnits": []})
lines = [json.dumps(base)]
for op, path in asked:
    key = op + "|r-1" if op == children else op
    lines.append(json.dumps({"op": key, "body": body(op, path)}))
done = subprocess.run([PROGRAM], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
assert done.returncode == 0, done.stderr[-2000:]
first, *roots = done.stdout.split()
assert len(roots) == len(asked) and len(first) == 64, (first, len(roots), len(asked), done.stderr[-500:])
faults, kept, used = [], 0, set()
for (op, path), root in zip(asked, roots):
    rows = [number for number, row in enumerate(table) if row[0] == op and fnmatch.fnmatchcase(path.replace("[]", ""), row[1])]
    used.update(rows)
    if root == first and not rows:
        faults.append("%s %s does not reach the fingerprint, and no row says why" % (op, path.replace("[]", "")))
    if root != first and rows:
        faults.append("%s %s is told as dropped and changes the root" % (op, path))
    kept += root != first
faults += ["%s %s: there is no such member" % tuple(row[:2]) for number, row in enumerate(table) if number not in used]
faults += ["%s %s: no reason" % tuple(row[:2]) for row in table if len(row[2]) < 10]
print("%d members of %d operations: %d reach the fingerprint, %d are left out with a reason" % (len(asked), len(base), kept, len(asked) - kept))
print("\n".join(faults))
sys.exit(1 if faults else 0)
