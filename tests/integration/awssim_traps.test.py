"""Every wire trap of tests/awssim/traps.def, looked at on the wire with the trap on and off. A trap without a check fails.
arg 1: the folder of the programs. Exit 77: boto3 or the simulator is not there."""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from awssim_client import Base, World, code_of, trust, until  # noqa: E402


def raw_code(answer):
    return re.search(r"<Code>(\w+)</Code>", answer.text).group(1) if "<Code>" in answer.text else str(answer.status)


class Traps(Base):
    """Each trap: one function that sees the wire, and what it must see with the trap on and off."""

    def both(self, trap, look, on, off):
        self.seen.add(trap)
        self.sim.traps("all")
        self.assertEqual(look(), on, trap + " on")
        self.sim.traps("-" + trap)
        self.assertEqual(look(), off, trap + " off")
        self.sim.traps("all")

    def test_every_trap_differs_when_off(self):
        Traps.seen = set()
        for part in (self.protocols, self.organizations, self.iam, self.new_things, self.s3, self.s3_settings, self.billing,
                     self.trail, self.others):
            part(self.sim.world())
        self.assertEqual({t["name"] for t in self.sim.admin("traps")} - self.seen, set(), "traps without a check")

    def protocols(self, w):
        self.both("json_type_namespaced", lambda: "#" in json.loads(w.raw("organizations", "DescribeAccount",
                                                                          {"AccountId": "0" * 12}).text)["__type"], True, False)
        self.both("rest_error_in_header", lambda: "code" in json.loads(w.raw("account", "getAlternateContact", {
            "AlternateContactType": "NONE"}).text), False, True)
        self.both("global_services_us_east_1", lambda: w.raw("organizations", "DescribeOrganization",
                                                             region="eu-west-1").status, 400, 200)
        iam, count = w.client("iam"), iter(range(99))

        def stored(principal, action):
            name = f"Stored{next(count)}"
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action}]}))
            return iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
        self.both("one_member_lists", lambda: stored("*", ["sts:AssumeRole"])["Action"], "sts:AssumeRole", ["sts:AssumeRole"])
        self.both("principal_account_becomes_arn", lambda: stored("0" * 12, "sts:AssumeRole")["Principal"]["AWS"],
                  f"arn:aws:iam::{'0' * 12}:root", "0" * 12)

    def organizations(self, w):
        def throttled():
            self.sim.admin("faults", {"throttle": 1, "count": 1})
            return w.raw("organizations", "ListRoots").status
        self.both("org_throttle_is_400", throttled, 400, 429)
        first = lambda: json.loads(w.raw("organizations", "ListAccounts").text)
        self.both("org_empty_page_with_token", lambda: (first()["Accounts"] == [], "NextToken" in first()), (True, True),
                  (False, "NextToken" in json.loads(w.raw("organizations", "ListAccounts", {"NextToken": "page-0"}).text)))
        names = lambda: set(json.loads(w.raw("organizations", "ListAccounts", {"NextToken": "page-0"}).text)["Accounts"][0])
        self.both("org_state_not_status", lambda: ("State" in names(), "Status" in names()), (True, False), (False, True))
        self.both("org_page_of_20", lambda: w.raw("organizations", "ListAccounts", {"MaxResults": 21}).status, 400, 200)
        self.both("org_unsupported_policy_type", lambda: "UnsupportedAPIEndpoint" in w.raw(
            "organizations", "ListPolicies", {"Filter": "NETWORK_SECURITY_DIRECTOR_POLICY"}).text, True, False)

    def iam(self, w):
        iam = w.client("iam")
        iam.create_role(RoleName="CloudHealth", AssumeRolePolicyDocument=trust(w.account), Tags=[{"Key": "a", "Value": "b"}])
        self.both("iam_documents_percent_encoded", lambda: "%22Version%22" in w.raw("iam", "GetRole", {"RoleName": "CloudHealth"}).text,
                  True, False)
        self.both("iam_names_ignore_case", lambda: code_of(lambda: iam.create_role(
            RoleName="cloudhealth", AssumeRolePolicyDocument=trust(w.account))), "EntityAlreadyExists", "ok")
        self.both("iam_list_roles_without_tags", lambda: "<Tags>" in w.raw("iam", "ListRoles", {"MaxItems": "1000"}).text,
                  False, True)
        for n in range(12):
            iam.create_role(RoleName=f"Many{n}", AssumeRolePolicyDocument=trust(w.account))
        self.both("iam_short_pages", lambda: iam.list_roles(MaxItems=1000)["IsTruncated"], True, False)
        roles = [r["RoleName"] for p in iam.get_paginator("list_roles").paginate() for r in p["Roles"]]
        self.assertEqual((len(roles), len(set(roles))), (iam.get_account_summary()["SummaryMap"]["Roles"],) * 2)

    def new_things(self, w):
        iam, sts, count = w.client("iam"), w.client("sts"), iter(range(99))

        def assume():
            name = f"New{next(count)}"
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(w.account, "ext"))
            return code_of(lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{w.account}:role/{name}", RoleSessionName="abc",
                                                   ExternalId="ext"))
        self.both("iam_new_role_not_assumable", assume, "AccessDenied", "ok")

        def trust_new_user():
            name = f"user{next(count)}"
            iam.create_user(UserName=name)
            document = json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{w.account}:user/{name}"}, "Action": "sts:AssumeRole"}]})
            return code_of(lambda: iam.create_role(RoleName="For" + name, AssumeRolePolicyDocument=document))
        self.both("iam_invalid_principal_at_first", trust_new_user, "MalformedPolicyDocument", "ok")

        def use_new_key():
            name = f"user{next(count)}"
            iam.create_user(UserName=name)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            return World(self.sim, w.account, key["AccessKeyId"], key["SecretAccessKey"]).raw("sts", "GetCallerIdentity").status
        self.both("iam_new_key_not_known", use_new_key, 403, 200)

        def report_knows_new_user():
            name = f"user{next(count)}"
            while iam.generate_credential_report()["State"] != "COMPLETE":
                pass
            iam.create_user(UserName=name)
            for _ in range(3):
                iam.generate_credential_report()
            return name in iam.get_credential_report()["Content"].decode()
        self.both("iam_credential_report_stale", report_knows_new_user, False, True)

    def s3(self, w):
        s3, bucket = w.client("s3"), "traps-" + w.account
        s3.create_bucket(Bucket=bucket)
        self.both("s3_create_again_in_us_east_1", lambda: code_of(lambda: s3.create_bucket(Bucket=bucket)), "ok",
                  "BucketAlreadyOwnedByYou")
        self.both("s3_location_empty_in_us_east_1", lambda: ">us-east-1<" in w.raw("s3", "", method="GET", path=f"/{bucket}?location=")
                  .text, False, True)
        body = (b'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>us-east-1'
                b"</LocationConstraint></CreateBucketConfiguration>")
        self.both("s3_refuses_constraint_us_east_1", lambda: raw_code(w.raw("s3", "", body, "PUT", f"/{bucket}-c")),
                  "InvalidLocationConstraint", "200")
        self.both("s3_head_without_body", lambda: "x-amz-error-code" in w.raw("s3", "", method="HEAD", path="/no-such-b").headers,
                  False, True)
        self.both("s3_expected_owner", lambda: w.raw("s3", "", method="GET", path=f"/{bucket}?location=", headers={
            "x-amz-expected-bucket-owner": "0" * 12}).status, 403, 200)
        eu = w.client("s3", "eu-west-1")
        eu.create_bucket(Bucket=bucket + "-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        answer = w.raw("s3", "", method="GET", path=f"/{bucket}-eu?versioning=")
        self.assertEqual(answer.headers["x-amz-bucket-region"], "eu-west-1")
        self.both("s3_other_region_301", lambda: w.raw("s3", "", method="GET", path=f"/{bucket}-eu?versioning=").status, 301, 400)

    def s3_settings(self, w):
        s3, bucket = w.client("s3"), "traps2-" + w.account
        s3.create_bucket(Bucket=bucket)
        tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
        self.both("s3_put_wants_checksum", lambda: w.raw("s3", "", tags, "PUT", f"/{bucket}?tagging=").status, 400, 204)
        self.both("s3_no_content", lambda: w.raw("s3", "", method="DELETE", path=f"/{bucket}?tagging=").status, 204, 200)
        self.both("s3_unset_is_404", lambda: raw_code(w.raw("s3", "", method="GET", path=f"/{bucket}?policy=")),
                  "NoSuchBucketPolicy", "200")

    def definition(self, name, bucket):
        return {"ReportName": name, "TimeUnit": "HOURLY", "Format": "textORcsv", "Compression": "GZIP",
                "AdditionalSchemaElements": ["RESOURCES"], "S3Bucket": bucket, "S3Prefix": "CUR", "S3Region": "us-east-1",
                "RefreshClosedReports": True, "ReportVersioning": "CREATE_NEW_REPORT"}

    def billing(self, w):
        self.both("cur_max_results_5", lambda: w.raw("cur", "DescribeReportDefinitions", {"MaxResults": 4}).status, 400, 200)
        s3, cur, bucket = w.client("s3"), w.client("cur"), "cur-" + w.account
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "billingreports.amazonaws.com"},
             "Action": ["s3:PutObject", "s3:GetBucketPolicy", "s3:GetBucketAcl"],
             "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}))

        def twins():
            for report in cur.describe_report_definitions()["ReportDefinitions"]:
                cur.delete_report_definition(ReportName=report["ReportName"])
            until(lambda: cur.put_report_definition(ReportDefinition=self.definition("Twin", bucket)), "ValidationException")
            return code_of(lambda: cur.put_report_definition(ReportDefinition=self.definition("twin", bucket)))
        self.both("cur_duplicate_case_sensitive", twins, "ok", "DuplicateReportNameException")
        while True:  # a world where AWS is slow to see a new bucket policy
            self.sim.seed += 1
            made = self.sim.admin("world", {"kind": "slow_consistency", "seed": self.sim.seed})
            if "access_key_id" in made:
                break
        slow, names = World(self.sim, made["account"], made["access_key_id"], made["secret_access_key"]), iter("abcdefgh")

        def put_at_once():
            name = f"slow-{next(names)}-{slow.account}"
            slow.client("s3").create_bucket(Bucket=name)
            slow.client("s3").put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "billingreports.amazonaws.com"}, "Action": "s3:*",
                 "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}))
            return code_of(lambda: slow.client("cur").put_report_definition(ReportDefinition=self.definition("S" + name[5], name)))
        for report in slow.client("cur").describe_report_definitions()["ReportDefinitions"]:
            slow.client("cur").delete_report_definition(ReportName=report["ReportName"])
        self.both("cur_bucket_policy_not_seen_at_first", put_at_once, "ValidationException", "ok")
        entry = {"registrationId": "IE6388047V", "registrationType": "VAT", "legalName": "X", "legalAddress": {
            "addressLine1": "1 Street", "city": "Dublin", "countryCode": "IE", "postalCode": "D02"}, "sector": "Business"}

        def put_twice():
            tax = self.sim.world().client("taxsettings")
            tax.put_tax_registration(taxRegistrationEntry=entry)
            return code_of(lambda: tax.put_tax_registration(taxRegistrationEntry={**entry, "legalName": "Y"}))
        self.both("tax_pending_blocks_put", put_twice, "ConflictException", "ok")

    def trail(self, w):
        def events(world, attributes):
            return world.client("cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
        self.sim.traps("-trail_rate")
        by_name = [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
        for trap, on in (("all", 0), ("-trail_delayed", 1)):
            self.sim.traps(trap)
            world = self.sim.world()
            world.client("iam").create_user(UserName="seen")
            self.assertEqual(len(events(world, by_name)), on, "trail_delayed")
        self.seen.add("trail_delayed")
        for trap, ordered in (("-trail_delayed", False), ("-trail_delayed,-trail_unordered", True)):
            self.sim.traps(trap)
            world = self.sim.world()
            for n in range(4):
                world.client("iam").create_user(UserName=f"u{n}")
            names = [json.loads(e["CloudTrailEvent"])["requestParameters"]["userName"] for e in events(world, by_name)]
            self.assertEqual(names == ["u3", "u2", "u1", "u0"], ordered, "trail_unordered")
        self.seen.add("trail_unordered")
        for trap, code in (("-trail_rate", "InvalidLookupAttributesException"), ("-trail_rate,-trail_one_attribute", "ok")):
            self.sim.traps(trap)
            self.assertEqual(code_of(lambda: events(self.sim.world(), by_name * 2)), code)
        self.seen.add("trail_one_attribute")
        self.both("trail_rate", lambda: (lambda c: code_of(lambda: [c.lookup_events() for _ in range(3)]))(
            self.sim.world().client("cloudtrail")), "ThrottlingException", "ok")

    def others(self, w):
        self.both("account_refuses_own_id", lambda: w.raw("account", "getContactInformation", {"AccountId": w.account}).status,
                  403, 200)
        sso = None
        while not sso:  # an organization with Identity Center somewhere
            found = self.sim.world()
            sso = self.sim.admin("world/" + found.account)["state"].get("features", {}).get("sso")
        elsewhere = "eu-west-3" if sso[0]["region"] != "eu-west-3" else "us-west-2"
        self.both("sso_home_region_only", lambda: len(json.loads(found.raw("sso", "ListInstances", region=elsewhere).text)["Instances"]),
                  0, 1)
        own = self.sim.own["partner"]
        partner = World(self.sim, "777788889999", own["aws_access_key_id"], own["aws_secret_access_key"])
        pma = json.loads(partner.raw("partnercentral-channel", "ListProgramManagementAccounts", {"catalog": "AWS"}).text)
        self.assertTrue(pma["items"], pma)
        tokens = iter(range(9))

        def two_accounts_one_token():
            token, answer = f"token-{next(tokens)}", None
            for world in (self.sim.world(), self.sim.world()):
                answer = partner.raw("partnercentral-channel", "CreateRelationship", {
                    "catalog": "AWS", "associationType": "END_CUSTOMER", "programManagementAccountIdentifier": pma["items"][0]["id"],
                    "associatedAccountId": world.account, "displayName": "x", "sector": "COMMERCIAL",
                    "resaleAccountModel": "END_CUSTOMER", "clientToken": token})
            return answer.status
        self.both("channel_token_conflict", two_accounts_one_token, 400, 200)


if __name__ == "__main__":
    unittest.main(verbosity=1)
