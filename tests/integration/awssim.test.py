"""The simulated AWS itself: signatures, protocols, permissions, IAM, S3, Organizations, faults, effects and throughput.
botocore is the other side, so an error in our own client cannot hide one here.
arg 1: the folder of the programs. Exit 77: boto3 or the simulator is not there."""
import collections
import datetime
import http.client
import json
import os
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from awssim_client import Base, ClientError, Sim, World, code_of, text_of, trust  # noqa: E402
from fleet import until  # noqa: E402


def as_bytes(host, headers, body):
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() != "content-length")
    return f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


class Signatures(Base):
    def test_what_botocore_signs_is_accepted_in_all_protocols(self):
        w = self.sim.world()
        me = w.client("sts").get_caller_identity()
        self.assertEqual(me["Account"], w.account)
        w.client("organizations").describe_organization()
        w.client("iam").get_account_summary()
        s3 = w.client("s3")
        s3.create_bucket(Bucket="odd-keys")
        for key in ("a b", "a+b", "ä/ö//x", "50%", "a?b=c&d", "~-._", "(x)'!*"):
            s3.put_object(Bucket="odd-keys", Key=key, Body=b"\x01")
            self.assertEqual(s3.get_object(Bucket="odd-keys", Key=key)["ContentLength"], 1, key)

    def test_refusals(self):
        w = self.sim.world()
        wrong = World(self.sim, w.account, w.keys[0], "x" * 40)
        unknown = World(self.sim, w.account, "AKIA" + "A" * 16, "x" * 40)
        for service, what, bad, nobody in (
                ("sts", "GetCallerIdentity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
                ("organizations", "DescribeOrganization", "InvalidSignatureException", "UnrecognizedClientException"),
                ("tax", "GetTaxInheritance", "InvalidSignatureException", "UnrecognizedClientException"),
                ("s3", "", "SignatureDoesNotMatch", "InvalidAccessKeyId")):
            for world, code in ((wrong, bad), (unknown, nobody)):
                answer = world.raw(service, what, method="GET" if service == "s3" else "POST")
                self.assertIn(code, answer.text + answer.headers.get("x-amzn-errortype", ""))
                self.assertIn(answer.status, (400, 403))
        self.assertIn("MissingAuthenticationToken", w.raw("sts", "GetCallerIdentity", sign=False).text)

    def test_any_byte_that_was_signed_and_then_changed_is_noticed(self):
        w = self.sim.world()

        def header(name, value):
            return lambda sent, body: sent.__setitem__(name, value)
        changes = {"body": lambda sent, body: body.replace(b"05-08", b"05-09"), "extra x-amz header": header("X-Amz-Meta", "1"),
                   "date": lambda sent, body: sent.__setitem__("X-Amz-Date", sent["X-Amz-Date"][:-2] + "9Z"
                                                               if sent["X-Amz-Date"][-2] != "9" else
                                                               sent["X-Amz-Date"][:-2] + "8Z"),
                   "signature": lambda sent, body: sent.__setitem__("Authorization", sent["Authorization"][:-1] + "g")}
        for name, change in changes.items():
            self.assertEqual(w.raw("iam", "GetAccountSummary", change=change).status, 403, name)

    def test_s3_wants_the_hash_of_what_is_sent(self):
        w = self.sim.world()
        w.client("s3").create_bucket(Bucket="hashes")
        answer = w.raw("s3", "", b"one", "PUT", "/hashes/k", change=lambda sent, body: b"two")
        self.assertIn("XAmzContentSHA256Mismatch", answer.text)

    def test_an_old_signature_is_refused_and_the_date_header_tells_the_time(self):
        w = self.sim.world()
        self.sim.admin("clock", {"skew_ms": 6 * 60000})
        answer = w.raw("iam", "GetAccountSummary")
        self.assertIn("Signature expired", answer.text)
        self.assertIn("date", answer.headers)
        self.assertEqual(w.raw("s3", "", method="GET").status, 200, "S3 tolerates 15 minutes")
        self.sim.admin("clock", {"skew_ms": 16 * 60000})
        self.assertIn("RequestTimeTooSkewed", w.raw("s3", "", method="GET").text)
        self.sim.admin("clock", {"skew_ms": -6 * 60000})
        self.assertIn("not yet current", w.raw("iam", "GetAccountSummary").text)

    def test_signature_life_can_be_shortened(self):
        sim = Sim("--signature-life-ms", "500")
        try:
            w = sim.world()
            self.assertEqual(w.raw("iam", "GetAccountSummary").status, 200)
            sim.admin("faults", {"late": 1, "late_ms": 2600})
            self.assertIn("Signature expired", w.raw("iam", "GetAccountSummary").text)
        finally:
            sim.stop()

    def test_session_credentials(self):
        w = self.sim.world()
        session = w.role_session()
        me = session.client("sts").get_caller_identity()
        self.assertEqual(me["Arn"], f"arn:aws:sts::{w.account}:assumed-role/probe/abc")
        untold = World(self.sim, w.account, session.keys[0], session.keys[1])
        self.assertIn("InvalidClientTokenId", untold.raw("sts", "GetCallerIdentity").text)
        forged = World(self.sim, w.account, session.keys[0], session.keys[1], "forged")
        self.assertIn("InvalidClientTokenId", forged.raw("sts", "GetCallerIdentity").text)
        self.sim.admin("clock", {"advance_ms": 2 * 3600000})
        self.assertIn("ExpiredToken", session.raw("sts", "GetCallerIdentity").text)
        self.assertIn("ExpiredTokenException", session.raw("organizations", "DescribeOrganization").text)

    def test_an_inactive_or_deleted_key_is_dead(self):
        w = self.sim.world()
        iam = w.client("iam")
        iam.create_user(UserName="u")
        self.sim.traps("-iam_new_key_not_known")
        key = iam.create_access_key(UserName="u")["AccessKey"]
        self.assertEqual(code_of(lambda: [iam.create_access_key(UserName="u") for _ in range(2)]), "LimitExceeded")
        u = World(self.sim, w.account, key["AccessKeyId"], key["SecretAccessKey"])
        self.assertEqual(u.client("sts").get_caller_identity()["Arn"], f"arn:aws:iam::{w.account}:user/u")
        self.assertEqual(iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"], "sts")
        iam.update_access_key(UserName="u", AccessKeyId=key["AccessKeyId"], Status="Inactive")
        self.assertIn("InvalidClientTokenId", u.raw("sts", "GetCallerIdentity").text)
        iam.update_access_key(UserName="u", AccessKeyId=key["AccessKeyId"], Status="Active")
        self.assertEqual(u.raw("sts", "GetCallerIdentity").status, 200)
        iam.delete_access_key(UserName="u", AccessKeyId=key["AccessKeyId"])
        self.assertIn("InvalidClientTokenId", u.raw("sts", "GetCallerIdentity").text)


class Permissions(Base):
    def test_a_caller_without_a_right_is_refused_by_its_name(self):
        w = self.sim.world()
        session = w.role_session(managed=None)
        self.assertEqual(session.client("sts").get_caller_identity()["Account"], w.account)
        for service, call, action in (("iam", lambda c: c.list_roles(), "iam:ListRoles"),
                                      ("organizations", lambda c: c.list_roots(), "organizations:ListRoots"),
                                      ("s3", lambda c: c.list_buckets(), "s3:ListAllMyBuckets")):
            with self.assertRaises(ClientError) as caught:
                call(session.client(service))
            self.assertIn("AccessDenied", str(caught.exception))
            self.assertIn(action, str(caught.exception))

    def test_an_explicit_deny_wins_and_wildcards_and_resources_count(self):
        w = self.sim.world()
        session = w.role_session(managed="arn:aws:iam::aws:policy/AdministratorAccess")
        w.client("iam").put_role_policy(RoleName="probe", PolicyName="never", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": ["iam:Delete*", "iam:*Role"],
                                                   "Resource": f"arn:aws:iam::{w.account}:role/Protected*"}}))
        iam = session.client("iam")
        self.assertEqual(code_of(lambda: iam.create_role(RoleName="ProtectedX", AssumeRolePolicyDocument=trust(w.account))),
                         "AccessDenied")
        iam.create_role(RoleName="Open", AssumeRolePolicyDocument=trust(w.account))
        arn = f"arn:aws:iam::{w.account}:role/probe"
        decisions = {r["EvalActionName"]: r["EvalDecision"] for r in w.client("iam").simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=["iam:DeleteRole", "s3:PutObject"],
            ResourceArns=[f"arn:aws:iam::{w.account}:role/ProtectedX"])["EvaluationResults"]}
        self.assertEqual(decisions, {"iam:DeleteRole": "explicitDeny", "s3:PutObject": "allowed"})

    def test_a_session_policy_narrows(self):
        w = self.sim.world()
        w.role_session(managed="arn:aws:iam::aws:policy/AdministratorAccess")
        only = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}]})
        keys = w.client("sts").assume_role(RoleArn=f"arn:aws:iam::{w.account}:role/probe", RoleSessionName="narrow",
                                           ExternalId="ext", Policy=only)["Credentials"]
        narrow = World(self.sim, w.account, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        narrow.client("iam").list_roles()
        self.assertEqual(code_of(lambda: narrow.client("iam").get_account_summary()), "AccessDenied")

    def test_a_trust_needs_its_external_id_and_its_account(self):
        w = self.sim.world()
        w.role_session(external="right")
        arn = f"arn:aws:iam::{w.account}:role/probe"
        sts = w.client("sts")
        self.assertEqual(code_of(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="abc")), "AccessDenied")
        self.assertEqual(code_of(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="abc", ExternalId="wrong")), "AccessDenied")
        own = self.sim.own["operator"]
        stranger = World(self.sim, "", own["aws_access_key_id"], own["aws_secret_access_key"])
        self.assertEqual(code_of(lambda: stranger.client("sts").assume_role(RoleArn=arn, RoleSessionName="abc",
                                                                            ExternalId="right")), "AccessDenied")


class Services(Base):
    def test_a_role_from_birth_to_death(self):
        iam = self.sim.world().client("iam")
        role = iam.create_role(RoleName="R", AssumeRolePolicyDocument=trust("068664126052", "x"), Description="d",
                               Tags=[{"Key": "k", "Value": "v"}])["Role"]
        self.assertEqual(iam.get_role(RoleName="R")["Role"]["RoleId"], role["RoleId"])
        self.assertEqual(iam.list_role_tags(RoleName="R")["Tags"], [{"Key": "k", "Value": "v"}])
        policy = iam.create_policy(PolicyName="P", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ce:*", "Resource": "*"}]}))["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="R", PolicyArn=policy)
        iam.attach_role_policy(RoleName="R", PolicyArn=policy)
        self.assertEqual([p["PolicyName"] for p in iam.list_attached_role_policies(RoleName="R")["AttachedPolicies"]], ["P"])
        self.assertEqual(code_of(lambda: iam.delete_role(RoleName="R")), "DeleteConflict")
        self.assertEqual(code_of(lambda: iam.delete_policy(PolicyArn=policy)), "DeleteConflict")
        for n in range(2, 6):
            iam.create_policy_version(PolicyArn=policy, SetAsDefault=True, PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": f"ce:Get{n}", "Resource": "*"}]}))
        full = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        self.assertEqual(code_of(lambda: iam.create_policy_version(PolicyArn=policy, PolicyDocument=json.dumps(full))),
                         "LimitExceeded")
        self.assertEqual(code_of(lambda: iam.delete_policy_version(PolicyArn=policy, VersionId="v5")), "DeleteConflict")
        iam.put_role_policy(RoleName="R", PolicyName="I", PolicyDocument=json.dumps(full))
        self.assertEqual(iam.get_role_policy(RoleName="R", PolicyName="I")["PolicyDocument"], full)
        iam.delete_role_policy(RoleName="R", PolicyName="I")
        iam.detach_role_policy(RoleName="R", PolicyArn=policy)
        for n in range(1, 5):
            iam.delete_policy_version(PolicyArn=policy, VersionId=f"v{n}")
        iam.delete_policy(PolicyArn=policy)
        iam.delete_role(RoleName="R")
        self.assertEqual(code_of(lambda: iam.get_role(RoleName="R")), "NoSuchEntity")
        self.assertEqual(code_of(lambda: iam.delete_role(RoleName="AWSServiceRoleForOrganizations")), "UnmodifiableEntity")
        self.assertEqual(code_of(lambda: iam.create_role(RoleName="R", AssumeRolePolicyDocument="{")),
                         "MalformedPolicyDocument")
        self.assertEqual(code_of(lambda: iam.create_role(RoleName="R", AssumeRolePolicyDocument=trust("1" * 12, "x" * 2100))),
                         "LimitExceeded")

    def test_everything_of_iam_at_once_equals_what_single_calls_say(self):
        w = self.sim.world()
        iam = w.client("iam")
        seen = collections.Counter()
        for page in iam.get_paginator("get_account_authorization_details").paginate():
            for part in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
                seen[part] += len(page[part])
        summary = iam.get_account_summary()["SummaryMap"]
        self.assertEqual((seen["UserDetailList"], seen["RoleDetailList"], seen["Policies"], seen["GroupDetailList"]),
                         (summary["Users"], summary["Roles"], summary["Policies"], summary["Groups"]))
        for name in ("list_account_aliases", "list_saml_providers", "list_open_id_connect_providers", "list_virtual_mfa_devices",
                     "list_organizations_features", "list_users", "list_groups"):
            getattr(iam, name)()
        self.assertIn(code_of(iam.get_account_password_policy), ("ok", "NoSuchEntity"))

    def test_a_bucket_and_its_settings(self):
        w = self.sim.world()
        s3 = w.client("s3")
        bucket = "settings-" + w.account
        s3.create_bucket(Bucket=bucket)
        self.assertEqual(s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"],
                         [{"ObjectOwnership": "BucketOwnerEnforced"}])
        self.assertTrue(all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()))
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a&b", "Value": "<c>"}, {"Key": "d", "Value": ""}]})
        self.assertEqual(s3.get_bucket_tagging(Bucket=bucket)["TagSet"], [{"Key": "a&b", "Value": "<c>"}, {"Key": "d", "Value": ""}])
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]})
        rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        self.assertTrue(rule["BucketKeyEnabled"])
        public = {"Version": "2012-10-17", "Statement": [{"Sid": "x", "Effect": "Allow", "Principal": "*",
                                                          "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]}
        self.assertEqual(code_of(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(public))), "AccessDenied")
        public["Statement"][0]["Resource"] = "arn:aws:s3:::other/*"
        self.assertEqual(code_of(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(public))), "MalformedPolicy")
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        self.assertEqual(code_of(lambda: s3.delete_bucket(Bucket=bucket)), "BucketNotEmpty")
        other = self.sim.world().client("s3")
        self.assertEqual(code_of(lambda: other.create_bucket(Bucket=bucket)), "BucketAlreadyExists")
        self.assertEqual(code_of(lambda: other.head_bucket(Bucket=bucket)), "403")
        s3.delete_object(Bucket=bucket, Key="k")
        s3.delete_bucket(Bucket=bucket)
        self.assertEqual(code_of(lambda: s3.head_bucket(Bucket=bucket)), "404")
        other.create_bucket(Bucket=bucket)

    def test_organizations_reads_agree_with_each_other(self):
        w = self.sim.world()
        o = w.client("organizations", attempts=4)
        accounts = {a["Id"] for p in o.get_paginator("list_accounts").paginate() for a in p["Accounts"]}
        self.assertIn(w.account, accounts)
        found = set()

        def walk(parent):
            for page in o.get_paginator("list_accounts_for_parent").paginate(ParentId=parent):
                found.update(a["Id"] for a in page["Accounts"])
            for page in o.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent):
                for unit in page["OrganizationalUnits"]:
                    walk(unit["Id"])
        walk(o.list_roots()["Roots"][0]["Id"])
        self.assertEqual(found, accounts)
        for page in o.get_paginator("list_policies").paginate(Filter="SERVICE_CONTROL_POLICY"):
            for policy in page["Policies"]:
                json.loads(o.describe_policy(PolicyId=policy["Id"])["Policy"]["Content"])
                o.list_targets_for_policy(PolicyId=policy["Id"])
        for name in ("list_aws_service_access_for_organization", "list_delegated_administrators",
                     "list_handshakes_for_organization", "list_handshakes_for_account"):
            getattr(o, name)()
        self.assertIn(code_of(o.describe_resource_policy), ("ok", "ResourcePolicyNotFoundException"))
        self.assertEqual(code_of(lambda: o.list_accounts_for_parent(ParentId="ou-none-12345678")), "ParentNotFoundException")
        self.assertEqual(code_of(lambda: o.list_accounts(NextToken="junk")), "InvalidInputException")

    def test_junk_is_refused_and_the_server_lives(self):
        w = self.sim.world()
        self.assertEqual(w.raw("iam", "NoSuchAction").status, 400)
        self.assertIn("SerializationException", w.raw("organizations", "DescribeOrganization", ["not an object"]).text)
        for bytes_sent in (b"\x00\x01\x02\r\n\r\n", b"GET /%zz%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                           b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c\r\nContent-Length: 0\r\n\r\n"):
            host, port = self.sim.host.split(":")
            with socket.create_connection((host, int(port)), 5) as s:
                s.sendall(bytes_sent)
                s.settimeout(5)
                try:
                    s.recv(100)
                except OSError:
                    pass
        deep = {"A" + ".member.1.B" * 40: "x", "Tags.member.99999999.Key": "x", "": "y"}
        self.assertEqual(w.raw("iam", "GetAccountSummary", deep).status, 200)
        w.client("sts").get_caller_identity()


class Trail(Base):
    def test_every_write_leaves_its_caller_in_cloudtrail(self):
        w = self.sim.world()
        session = w.role_session(managed="arn:aws:iam::aws:policy/AdministratorAccess")
        session.client("s3").create_bucket(Bucket="trail-" + w.account)
        ct = w.client("cloudtrail", attempts=4)
        deadline = time.monotonic() + 30
        found = []
        while not found and time.monotonic() < deadline:
            time.sleep(0.6)
            found = ct.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateBucket"}])["Events"]
        event = json.loads(found[0]["CloudTrailEvent"])
        self.assertEqual(event["userIdentity"]["type"], "AssumedRole")
        self.assertEqual(event["userIdentity"]["arn"], f"arn:aws:sts::{w.account}:assumed-role/probe/abc")
        self.assertEqual(event["requestParameters"]["bucketName"], "trail-" + w.account)


class Effects(Base):
    def test_transitions_and_repeats_are_told_apart_and_the_file_agrees(self):
        w = self.sim.world()
        iam = w.client("iam")
        iam.create_role(RoleName="E", AssumeRolePolicyDocument=trust(w.account))
        for _ in range(2):
            iam.attach_role_policy(RoleName="E", PolicyArn="arn:aws:iam::aws:policy/SecurityAudit")
        code_of(lambda: iam.create_role(RoleName="E", AssumeRolePolicyDocument=trust(w.account)))
        lines = self.sim.admin("effects?account=" + w.account)
        self.assertEqual([(x["op"], x["resource"], x["repeat"]) for x in lines],
                         [("iam:CreateRole", "iam.roles.E", False), ("iam:AttachRolePolicy", "iam.roles.E", False),
                          ("iam:AttachRolePolicy", "iam.roles.E", True)])
        self.assertEqual(lines[0]["before"], "")
        self.assertEqual(lines[0]["after"], lines[1]["before"])
        in_file = [json.loads(x) for x in text_of(self.sim.effects_file).splitlines() if w.account in x]
        self.assertEqual(in_file, lines)

    def test_save_and_restore_bring_back_the_digest(self):
        w = self.sim.world()
        before = self.sim.admin(f"world/{w.account}/digest")["digest"]
        self.sim.admin(f"world/{w.account}/save", {})
        w.client("s3").create_bucket(Bucket="saved-" + w.account)
        self.assertNotEqual(self.sim.admin(f"world/{w.account}/digest")["digest"], before)
        self.sim.admin(f"world/{w.account}/restore", {})
        self.assertEqual(self.sim.admin(f"world/{w.account}/digest")["digest"], before)
        self.assertEqual(code_of(lambda: w.client("s3").head_bucket(Bucket="saved-" + w.account)), "404")

    def test_mail_and_stats(self):
        self.sim.admin("mail", {"to": "a@b.example", "subject": "s", "text": "code 123456"})
        self.assertEqual(self.sim.admin("mail?to=A%40b.example")[0]["text"], "code 123456")
        self.assertGreater(self.sim.admin("stats")["requests"], 0)


class Faults(Base):
    def one(self, w, fault, call, **more):
        self.sim.admin("faults", {fault: 1, "count": 1, **more})
        try:
            return call(w)
        except (http.client.HTTPException, OSError) as e:
            return type(e).__name__

    def exists(self, w, name):
        return code_of(lambda: w.client("iam").get_role(RoleName=name)) == "ok"

    def create(self, name):
        return lambda w: w.raw("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": trust(w.account)})

    def test_each_fault_does_what_its_name_says(self):
        w = self.sim.world()
        answer = self.one(w, "throttle", self.create("T"))
        self.assertEqual((answer.status, "Throttling" in answer.text, self.exists(w, "T")), (400, True, False))
        answer = self.one(w, "before", self.create("B"))
        self.assertEqual((answer.status, self.exists(w, "B")), (500, False))
        answer = self.one(w, "after", self.create("A"))
        self.assertEqual((answer.status, "ServiceFailure" in answer.text, self.exists(w, "A")), (500, True, True))
        answer = self.one(w, "drop", self.create("D"))
        self.assertIsInstance(answer, str)
        self.assertTrue(self.exists(w, "D"))
        answer = self.one(w, "reset", self.create("R"))
        self.assertIsInstance(answer, str)
        self.assertFalse(self.exists(w, "R"))
        begin = time.monotonic()
        answer = self.one(w, "slow", lambda x: x.raw("iam", "ListRoles"))
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.text.endswith("</ListRolesResponse>"))
        print(f"  slow answer of {len(answer.text)} bytes took {time.monotonic() - begin:.2f} s")

    def test_a_late_request_takes_effect_though_its_client_is_gone(self):
        w = self.sim.world()
        self.sim.admin("faults", {"late": 1, "count": 1, "late_ms": 2000})
        request = []

        def steal(sent, body):
            request.append((dict(sent), body))
            raise InterruptedError
        try:
            w.raw("iam", "CreateRole", {"RoleName": "L", "AssumeRolePolicyDocument": trust(w.account)}, change=steal)
        except InterruptedError:
            pass
        headers, body = request[0]
        host, port = self.sim.host.split(":")
        before = self.sim.admin("stats")["faults"]["served"]["late"]
        with socket.create_connection((host, int(port)), 5) as s:
            s.sendall(as_bytes(self.sim.host, headers, body))
            until(lambda: self.sim.admin("stats")["faults"]["served"]["late"] > before, 60)
        iam = w.client("iam")  # one connection that stays: a new one for each look would wake the server
        until(lambda: code_of(lambda: iam.get_role(RoleName="L")) == "ok", 60)
        effect, = self.sim.admin("effects?account=" + w.account)
        signed = datetime.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%S%z").timestamp()
        self.assertGreaterEqual(effect["at_ms"] - signed * 1000, 2000)

    def test_throttling_in_each_services_own_form(self):
        w = self.sim.world()
        self.sim.admin("faults", {"throttle": 1})
        for service, what, status, code in (("iam", "GetAccountSummary", 400, "Throttling"), ("s3", "", 503, "SlowDown"),
                                            ("organizations", "ListRoots", 400, "TooManyRequestsException"),
                                            ("cur", "DescribeReportDefinitions", 400, "ThrottlingException"),
                                            ("account", "getContactInformation", 429, "TooManyRequestsException"),
                                            ("tax", "GetTaxInheritance", 429, "ThrottlingException")):
            answer = w.raw(service, what, method="GET" if service == "s3" else "POST")
            self.assertEqual(answer.status, status, service)
            self.assertIn(code, answer.text + answer.headers.get("x-amzn-errortype", ""))

    def test_faults_can_be_aimed(self):
        w = self.sim.world()
        self.sim.admin("faults", {"before": 1, "only": "iam:ListRoles,organizations:*"})
        self.assertEqual(w.raw("iam", "GetAccountSummary").status, 200)
        self.assertEqual(w.raw("iam", "ListRoles").status, 500)
        self.assertEqual(w.raw("organizations", "ListRoots").status, 500)

    def test_latency_holds_back_many_at_once(self):
        """300 connections wait side by side; nobody waits for another, and all answers come."""
        w = self.sim.world()
        stolen = []
        w.raw("sts", "GetCallerIdentity", change=lambda sent, body: stolen.append((dict(sent), body)))
        headers, body = stolen[0]
        request = as_bytes(self.sim.host, headers, body)
        self.sim.admin("faults", {"latency_ms": 300})
        host, port = self.sim.host.split(":")
        sockets = [socket.create_connection((host, int(port)), 30) for _ in range(300)]
        begin = time.monotonic()
        for s in sockets:
            s.sendall(request)
        self.sim.admin("healthz")  # admin does not wait
        for s in sockets:
            self.assertIn(b" 200 ", s.recv(65536))
            s.close()
        took = time.monotonic() - begin
        self.assertGreaterEqual(took, 0.3)
        print(f"  300 answers held back 300 ms each came within {took:.2f} s")


class Throughput(Base):
    def test_requests_per_second_are_printed(self):
        """Prints; asserts nothing about time."""
        w = self.sim.world()
        stolen = []

        def steal(sent, body):
            stolen.append((dict(sent), body))
        w.raw("sts", "GetCallerIdentity", change=steal)
        headers, body = stolen[0]
        request = as_bytes(self.sim.host, headers, body)
        host, port = self.sim.host.split(":")
        sockets = [socket.create_connection((host, int(port)), 10) for _ in range(16)]
        sockets[0].sendall(request)
        size = len(sockets[0].recv(65536))
        begin, before, count = time.monotonic(), self.cpu(), 0
        while count < 5000:
            for s in sockets:
                s.sendall(request)
            for s in sockets:
                got = 0
                while got < size:
                    part = s.recv(65536)
                    self.assertTrue(part)
                    got += len(part)
                count += 1
        wall, cpu = time.monotonic() - begin, self.cpu() - before
        for s in sockets:
            s.close()
        print(f"  {count / wall:.0f} signed requests/s with keep-alive, {count / max(cpu, 0.01):.0f} per CPU second of the server")

    def cpu(self):
        fields = text_of(f"/proc/{self.sim.process.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main(verbosity=1)
