"""Worlds, people and the services beside IAM, STS, S3 and Organizations: what the simulator claims, tried with boto3 and with a
dispatcher of a few lines. arg 1: the folder of the programs. Exit 77: boto3 or the simulator is not there."""
import configparser
import csv
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import botocore_new  # noqa: E402,F401

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

BIN = os.path.join(sys.argv.pop(1), "orgimport-awssim") if len(sys.argv) > 1 else "build/bin/orgimport-awssim"
if not os.access(BIN, os.X_OK):
    print("skip: no", BIN)
    sys.exit(77)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Sim:
    def __init__(self, *flags, wait=True):
        self.dir = tempfile.mkdtemp(prefix="awssim-worlds-")
        files = {n: os.path.join(self.dir, n) for n in ("address", "customers.csv", "keys.ini", "own.ini", "worlds.json")}
        self.process = subprocess.Popen(
            [BIN, "--listen", "127.0.0.1:0", "--address-file", files["address"], "--customers", files["customers.csv"],
             "--credentials", files["keys.ini"], "--operator-credentials", files["own.ini"], "--worlds", files["worlds.json"],
             *flags], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.path.exists(files["address"]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the simulator did not start")
            time.sleep(0.02)
        self.url = text_of(files["address"]).strip()
        self.customers_text = text_of(files["customers.csv"])
        self.customers = list(csv.DictReader(self.customers_text.splitlines()))
        self.keys_text = text_of(files["keys.ini"])
        self.keys_mode = os.stat(files["keys.ini"]).st_mode & 0o777
        self.worlds = json.loads(text_of(files["worlds.json"]))
        self.own = configparser.ConfigParser()
        self.own.read(files["own.ini"])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)
        if code not in (0, -15):
            raise AssertionError(f"the simulator ended with {code}")

    def admin(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/_sim/" + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{path}: {refused.code} {refused.read()}") from refused
        except urllib.error.URLError as gone:
            raise AssertionError(f"{path}: {gone}; the simulator's exit code: {self.process.poll()}") from gone

    def make(self, kind, seed=11):
        """A world of that kind with a key that works (role worlds: of one of its own administrators)."""
        world = self.admin("POST", "world", {"kind": kind, "seed": seed})
        self.assert_named(world)
        return world

    def assert_named(self, world):
        assert re.fullmatch(r"\d{12}", world["account"]), world

    def act(self, account, what, **args):
        return self.admin("POST", f"world/{account}/act", {"what": what, "args": args})

    def state(self, account):
        return self.admin("GET", f"world/{account}")["state"]

    def client(self, service, world=None, own=None, region="us-east-1"):
        if own:
            key, secret = self.own[own]["aws_access_key_id"], self.own[own]["aws_secret_access_key"]
        else:
            key, secret = world["access_key_id"], world["secret_access_key"]
        return boto3.client(service, region_name=region, endpoint_url=self.url, aws_access_key_id=key, aws_secret_access_key=secret,
                            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, signature_version="v4"
                                          if service != "s3" else "s3v4"))


def key_world(sim, kind="healthy"):
    for seed in range(1, 40):
        world = sim.make(kind, seed)
        if world["access"] == "key":
            return world
    raise AssertionError("no key world in 40 seeds")


REPORT = {"ReportName": "doitintl-awsops-x1", "TimeUnit": "HOURLY", "Format": "textORcsv", "Compression": "GZIP",
          "AdditionalSchemaElements": ["RESOURCES"], "S3Bucket": "doitintl-awsops-x1", "S3Prefix": "CUR", "S3Region": "us-east-1",
          "RefreshClosedReports": True, "ReportVersioning": "CREATE_NEW_REPORT"}
ENTRY = {"registrationId": "IE1234567WA", "registrationType": "VAT", "legalName": "Example Reseller", "sector": "Business",
         "legalAddress": {"addressLine1": "1 Quay", "city": "Dublin", "countryCode": "IE", "postalCode": "D01"}}


def wait_until(test, what, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        found = test()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("not within the time: " + what)
        time.sleep(0.05)


class Worlds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--orgs", "90", "--seed", "7", "--kinds", "all")

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def test_half_of_all_are_healthy_and_every_other_kind_appears(self):
        kinds = [w["kind"] for w in self.sim.worlds]
        self.assertEqual(kinds.count("healthy"), 45)
        self.assertGreaterEqual(len(set(kinds)), 30)
        for world in self.sim.worlds:
            end = world["expect"]
            self.assertIn(end["state"], ("completed", "failed", "waiting", "held"))
            self.assertEqual(end["state"] == "completed", end["step"] == "", world)
            self.assertEqual(end["state"] == "completed", end["verdict"] in ("PROVEN", "PROVEN+FOREIGN", "UNEXPLAINED (accepted)"), world)

    def test_error_codes_that_are_expected_exist(self):
        table = text_of("common/base/err.def")
        steps = text_of("worker/steps/steps.def")
        for world in self.sim.worlds:
            for code in (world["expect"]["code"], world["expect"]["finding"]):
                if code:
                    self.assertIn('"%s"' % code, table)
            if world["expect"]["step"]:
                self.assertIn("STEP(%s)" % world["expect"]["step"], steps)

    def test_worlds_are_whole(self):
        for world in self.sim.worlds:
            state = self.sim.state(world["account"])
            for section in ("customer", "iam", "root", "s3", "cur", "tax", "contact", "trails", "billing", "timing", "invoices"):
                self.assertIn(section, state, world["kind"])
            self.assertNotIn("null", json.dumps(state["iam"]).replace('"null"', ""), world["kind"])
            if world["kind"] != "no_organization":
                accounts, tree = state["accounts"], state["tree"]
                self.assertEqual(next(iter(accounts)), world["account"])
                placed = [a for node in tree["children"].values() for a in node["accounts"]]
                self.assertEqual(sorted(placed), sorted(accounts), world["kind"])
                units = [u for node in tree["children"].values() for u in node["ous"]]
                self.assertEqual(sorted(units), sorted(tree["ous"]), world["kind"])
                self.assertEqual(state["organization"]["MasterAccountEmail"], accounts[world["account"]]["Email"])
                for policy in state.get("policies", {}).values():
                    json.loads(policy["Content"])
                    for target in policy["targets"]:
                        self.assertIn(target["TargetId"], [*accounts, *tree["ous"], tree["roots"][0]["Id"]])
            for role in state["iam"]["roles"].values():
                json.loads(role["AssumeRolePolicyDocument"])
            for report in state["cur"]["reports"].values():
                self.assertIn(report["S3Bucket"], state["s3"]["buckets"])

    def test_same_seed_same_worlds_other_seed_other_worlds(self):
        again = Sim("--orgs", "90", "--seed", "7", "--kinds", "all")
        other = Sim("--orgs", "90", "--seed", "8", "--kinds", "all")
        try:
            self.assertEqual(self.sim.customers_text, again.customers_text)
            self.assertEqual(self.sim.keys_text, again.keys_text)
            self.assertNotEqual(self.sim.customers_text, other.customers_text)
            for world in self.sim.worlds[:20]:
                if world["kind"] not in ("tax_pending", "invitations_open"):  # these hold times to come
                    self.assertEqual(self.sim.admin("GET", f"world/{world['account']}/digest"),
                                     again.admin("GET", f"world/{world['account']}/digest"), world["kind"])
        finally:
            again.stop()
            other.stop()

    def test_files_are_what_an_operator_would_bring(self):
        self.assertEqual(self.sim.keys_mode, 0o600)
        self.assertEqual(sorted(self.sim.own.sections()), ["operator", "partner", "trusted"])
        keys = configparser.ConfigParser()
        keys.read_string(self.sim.keys_text)
        refs = set()
        for row in self.sim.customers:
            self.assertRegex(row["organization.management_account_id"], r"^\d{12}$")
            self.assertIn(row["access.method"], ("role", "sealed_key"))
            self.assertEqual(row["access.method"] == "sealed_key", row["external_ref"] in keys.sections())
            self.assertEqual(row["access.method"] == "role", row["access.role_arn"] != "")
            self.assertRegex(row["id"], r"^[a-z0-9]{0,20}$")
            refs.add(row["external_ref"])
        self.assertEqual(len(refs), 90)
        self.assertTrue(any("," in row["customer.name"] for row in self.sim.customers), "a name that needs quotes")

    def test_every_kind_can_be_made_later(self):
        names = re.findall(r"^KIND\((\w+)", text_of("tests/awssim/worlds.def"), re.M)
        for name in names:
            world = self.sim.make(name)
            self.assertEqual(world["kind"], name)
            self.assertIn("row", world)


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--orgs", "2", "--seed", "3", "--kinds", "healthy")
        cls.world = key_world(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        self.sim.admin("POST", "traps", {"traps": "all"})

    def refused(self, code, call, **args):
        with self.assertRaises(ClientError) as refusal:
            call(**args)
        self.assertEqual(refusal.exception.response["Error"]["Code"], code, refusal.exception)
        return refusal.exception

    def bucket(self, world, name, policy=True, account=None):
        s3 = self.sim.client("s3", world)
        s3.create_bucket(Bucket=name)
        if policy:
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Sid": "a", "Effect": "Allow", "Principal": {"Service": "billingreports.amazonaws.com"},
                 "Action": ["s3:GetBucketAcl", "s3:GetBucketPolicy"], "Resource": f"arn:aws:s3:::{name}",
                 "Condition": {"StringEquals": {"aws:SourceAccount": account or world["account"]}}},
                {"Sid": "b", "Effect": "Allow", "Principal": {"Service": "billingreports.amazonaws.com"}, "Action": "s3:PutObject",
                 "Resource": f"arn:aws:s3:::{name}/*",
                 "Condition": {"StringEquals": {"aws:SourceAccount": account or world["account"]}}}]}))

    def test_cur_refuses_what_aws_refuses(self):
        world = key_world(self.sim)
        cur = self.sim.client("cur", world)
        put = cur.put_report_definition
        self.refused("ValidationException", put, ReportDefinition=REPORT)  # no bucket
        self.bucket(world, "doitintl-awsops-x1", policy=False)
        self.refused("ValidationException", put, ReportDefinition=REPORT)  # AWS may not write there
        self.bucket(world, "doitintl-awsops-x1", account="111111111111")
        self.refused("ValidationException", put, ReportDefinition=REPORT)  # for another account only
        self.bucket(world, "doitintl-awsops-x1")
        self.refused("ValidationException", put, ReportDefinition={**REPORT, "S3Region": "il-central-1"})
        self.refused("ValidationException", put, ReportDefinition={**REPORT, "Compression": "Parquet"})
        self.refused("ValidationException", put, ReportDefinition={**REPORT, "ReportName": "a b"})
        put(ReportDefinition=REPORT, Tags=[{"Key": "doit:onboarding", "Value": "x1"}])
        self.assertEqual(cur.list_tags_for_resource(ReportName=REPORT["ReportName"])["Tags"][0]["Value"], "x1")
        self.refused("DuplicateReportNameException", put, ReportDefinition=REPORT)
        put(ReportDefinition={**REPORT, "ReportName": "DOITINTL-awsops-x1"})  # names are case sensitive
        self.sim.admin("POST", "traps", {"traps": "-cur_duplicate_case_sensitive"})
        self.refused("DuplicateReportNameException", put, ReportDefinition={**REPORT, "ReportName": "Doitintl-Awsops-X1"})
        cur.modify_report_definition(ReportName=REPORT["ReportName"], ReportDefinition={**REPORT, "TimeUnit": "DAILY"})
        cur.delete_report_definition(ReportName="DOITINTL-awsops-x1")
        self.refused("ValidationException", cur.delete_report_definition, ReportName="DOITINTL-awsops-x1")

    def test_cur_shows_five_at_a_time_and_holds_five(self):
        world = self.sim.make("five_reports", 5)
        while world["access"] != "key":
            world = self.sim.make("five_reports", int(world["external_ref"].split("-")[1]) + 1)
        cur = self.sim.client("cur", world)
        self.assertEqual(len(cur.describe_report_definitions(MaxResults=5)["ReportDefinitions"]), 5)
        self.refused("ValidationException", cur.describe_report_definitions, MaxResults=6)
        self.sim.admin("POST", "traps", {"traps": "-cur_max_results_5"})
        cur.describe_report_definitions(MaxResults=6)
        self.bucket(world, "doitintl-awsops-five")
        self.refused("ReportLimitReachedException", cur.put_report_definition,
                     ReportDefinition={**REPORT, "S3Bucket": "doitintl-awsops-five"})

    def test_cur_delivers_after_a_while(self):
        world = key_world(self.sim)
        cur = self.sim.client("cur", world)
        self.bucket(world, "doitintl-awsops-d1")
        cur.put_report_definition(ReportDefinition={**REPORT, "S3Bucket": "doitintl-awsops-d1", "ReportName": "d1"})

        def found():
            reports = cur.describe_report_definitions(MaxResults=5)["ReportDefinitions"]
            return [r for r in reports if r["ReportName"] == "d1" and r.get("ReportStatus", {}).get("lastStatus") == "SUCCESS"]
        self.assertRegex(wait_until(found, "the first delivery")[0]["ReportStatus"]["lastDelivery"], r"^\d{8}T\d{6}Z$")
        listed = self.sim.client("s3", world).list_objects_v2(Bucket="doitintl-awsops-d1", Prefix="CUR/d1/")
        self.assertGreaterEqual(listed["KeyCount"], 1)

    def test_slow_worlds_see_a_bucket_policy_late(self):
        world = key_world(self.sim, "slow_consistency")
        cur = self.sim.client("cur", world)
        name = "doitintl-awsops-slow" + world["account"][-6:-3]
        self.bucket(world, name)
        definition = {**REPORT, "S3Bucket": name}
        self.refused("ValidationException", cur.put_report_definition, ReportDefinition=definition)

        def accepted():
            try:
                cur.put_report_definition(ReportDefinition=definition)
            except ClientError:
                return False
            return True
        wait_until(accepted, "the policy is seen")
        self.sim.admin("POST", "traps", {"traps": "-cur_bucket_policy_not_seen_at_first"})
        self.bucket(world, name + "b")
        cur.put_report_definition(ReportDefinition={**definition, "ReportName": "second", "S3Bucket": name + "b"})

    def test_tax_is_pending_then_verified_and_pending_refuses(self):
        world = key_world(self.sim)
        tax = self.sim.client("taxsettings", world)
        self.assertEqual(tax.get_tax_inheritance()["heritageStatus"], "OptOut")
        self.assertEqual(tax.put_tax_registration(taxRegistrationEntry=ENTRY)["status"], "Pending")
        self.refused("ConflictException", tax.put_tax_registration, taxRegistrationEntry={**ENTRY, "registrationId": "IE2"})
        self.sim.admin("POST", "traps", {"traps": "-tax_pending_blocks_put"})
        tax.put_tax_registration(taxRegistrationEntry={**ENTRY, "registrationId": "IE3"})
        wait_until(lambda: tax.get_tax_registration()["taxRegistration"]["status"] == "Verified", "Verified")
        one = [d for d in tax.list_tax_registrations()["accountDetails"] if d["accountId"] == world["account"]][0]
        self.assertEqual(one["accountMetaData"]["addressRoleMap"]["TaxAddress"]["countryCode"], "IE")
        self.assertEqual(one["taxRegistration"]["registrationId"], "IE3")
        tax.delete_tax_registration()
        self.refused("ResourceNotFoundException", tax.get_tax_registration)
        self.refused("ValidationException", tax.put_tax_registration,
                     taxRegistrationEntry={**ENTRY, "legalAddress": {**ENTRY["legalAddress"], "countryCode": "US"}})

    def test_tax_pages_and_rejections(self):
        world = key_world(self.sim, "tax_rejected")
        tax = self.sim.client("taxsettings", world)
        pages = tax.get_paginator("list_tax_registrations").paginate(PaginationConfig={"PageSize": 2})
        self.assertEqual(len([d for p in pages for d in p["accountDetails"]]), world["accounts"])
        tax.put_tax_registration(taxRegistrationEntry=ENTRY)
        wait_until(lambda: tax.get_tax_registration()["taxRegistration"]["status"] == "Rejected", "Rejected")

    def test_billing_switch_closes_reports_and_tax(self):
        world = key_world(self.sim, "billing_off")
        cur, tax = self.sim.client("cur", world), self.sim.client("taxsettings", world)
        self.refused("AccessDeniedException", cur.describe_report_definitions, MaxResults=5)
        self.refused("AccessDeniedException", tax.list_tax_registrations)
        self.sim.act(world["account"], "customer.billing_access_on")
        cur.describe_report_definitions(MaxResults=5)
        tax.list_tax_registrations()

    def test_account_refuses_the_management_accounts_own_number(self):
        account = self.sim.client("account", self.world)
        self.assertEqual(account.get_contact_information()["ContactInformation"]["FullName"], "R. Roe")
        self.refused("AccessDeniedException", account.get_contact_information, AccountId=self.world["account"])
        self.refused("AccessDeniedException", account.get_primary_email, AccountId=self.world["account"])
        self.refused("ValidationException", account.put_contact_information,
                     ContactInformation={**account.get_contact_information()["ContactInformation"], "PhoneNumber": "1"})
        self.assertIn("us-east-1", [r["RegionName"] for r in account.list_regions()["Regions"]])
        self.sim.admin("POST", "traps", {"traps": "-account_refuses_own_id"})
        account.get_contact_information(AccountId=self.world["account"])

    def test_cloudtrail_is_late_unordered_and_slow_to_be_asked(self):
        world = key_world(self.sim)
        trail = self.sim.client("cloudtrail", world)
        for _ in range(70):
            self.sim.act(world["account"], "operator.root_password")

        def events(**more):
            pages, token = [], None
            while True:
                time.sleep(0.55)
                page = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "PasswordUpdated"}],
                                           **({"NextToken": token} if token else {}), **more)
                pages.append(page["Events"])
                token = page.get("NextToken")
                if not token:
                    return pages
        pages = events()
        found = [e for p in pages for e in p]
        self.assertEqual([len(p) for p in pages], [50, 20])
        self.assertEqual(len({e["EventId"] for e in found}), 70)
        detail = json.loads(found[0]["CloudTrailEvent"])
        self.assertEqual(detail["userIdentity"]["type"], "Root")
        self.assertEqual(detail["responseElements"]["PasswordUpdated"], "Success")
        self.assertEqual(detail["eventSource"], "signin.amazonaws.com")
        with self.assertRaises(ClientError) as refusal:
            for _ in range(4):
                trail.lookup_events()
        self.assertEqual(refusal.exception.response["Error"]["Code"], "ThrottlingException")
        self.sim.admin("POST", "traps", {"traps": "-trail_rate"})
        for _ in range(4):
            trail.lookup_events()
        two = [{"AttributeKey": "EventName", "AttributeValue": "X"}] * 2
        self.refused("InvalidLookupAttributesException", trail.lookup_events, LookupAttributes=two)
        self.sim.admin("POST", "traps", {"traps": "-trail_one_attribute"})
        time.sleep(1.1)
        trail.lookup_events(LookupAttributes=two)
        elsewhere = self.sim.client("cloudtrail", world, region="eu-west-1")
        time.sleep(1.1)
        self.assertEqual(elsewhere.lookup_events()["Events"], [])

    def test_cloudtrail_order_is_a_trap(self):
        world = key_world(self.sim)
        trail = self.sim.client("cloudtrail", world)
        for i in range(6):
            self.sim.act(world["account"], "foreign.create_user", name=f"u{i}")
        time.sleep(1.0)

        def order():
            return [json.loads(e["CloudTrailEvent"])["requestParameters"]["userName"] for e in trail.lookup_events()["Events"]]
        self.assertNotEqual(order(), [f"u{i}" for i in reversed(range(6))])
        self.sim.admin("POST", "traps", {"traps": "-trail_unordered"})
        self.assertEqual(order(), [f"u{i}" for i in reversed(range(6))])

    def test_trails_are_described(self):
        trail = self.sim.client("cloudtrail", self.world)
        listed = trail.describe_trails()["trailList"]
        self.assertTrue(listed and listed[0]["IsOrganizationTrail"])
        self.assertTrue(trail.get_trail_status(Name=listed[0]["TrailARN"])["IsLogging"])
        self.refused("TrailNotFoundException", trail.get_trail_status, Name="none")

    def test_channel_creates_once_for_one_token(self):
        channel, world = self.sim.client("partnercentral-channel", own="partner"), key_world(self.sim)
        pma = channel.list_program_management_accounts(catalog="AWS", statuses=["ACTIVE"])["items"][0]
        ask = {"catalog": "AWS", "associationType": "END_CUSTOMER", "programManagementAccountIdentifier": pma["id"],
               "associatedAccountId": world["account"], "displayName": "Müller", "resaleAccountModel": "END_CUSTOMER",
               "sector": "COMMERCIAL", "clientToken": "t-" + world["account"]}
        made = channel.create_relationship(**ask)["relationshipDetail"]
        self.assertEqual(channel.create_relationship(**ask)["relationshipDetail"]["id"], made["id"])
        self.refused("ConflictException", channel.create_relationship, **{**ask, "displayName": "Another"})
        self.refused("ConflictException", channel.create_relationship, **{**ask, "clientToken": "new"})
        self.sim.admin("POST", "traps", {"traps": "-channel_token_conflict"})
        channel.create_relationship(**{**ask, "displayName": "Another"})
        listed = channel.list_relationships(catalog="AWS", associatedAccountIds=[world["account"]])["items"]
        self.assertEqual([r["id"] for r in listed], [made["id"]])
        detail = channel.get_relationship(catalog="AWS", programManagementAccountIdentifier=pma["id"], identifier=made["id"])
        self.assertEqual(detail["relationshipDetail"]["associatedAccountId"], world["account"])
        channel.delete_relationship(catalog="AWS", programManagementAccountIdentifier=pma["id"], identifier=made["id"])
        self.assertEqual(channel.list_relationships(catalog="AWS", associatedAccountIds=[world["account"]])["items"], [])
        self.refused("AccessDeniedException", self.sim.client("partnercentral-channel", world).list_relationships, catalog="AWS")

    def test_channel_refuses_an_account_of_another_partner(self):
        channel, world = self.sim.client("partnercentral-channel", own="partner"), self.sim.make("partner_conflict")
        self.refused("ConflictException", channel.create_relationship, catalog="AWS", associationType="END_CUSTOMER",
                     programManagementAccountIdentifier="pma-doit000000001", associatedAccountId=world["account"], displayName="x",
                     sector="COMMERCIAL")

    def test_features_answer_on_and_off(self):
        seen = {}
        for seed in range(1, 30):
            world = self.sim.make("healthy", 100 + seed)
            if world["access"] != "key":
                continue
            state = self.sim.state(world["account"])
            features = state["features"]
            here = [i for i in features.get("sso", []) if i["region"] == "us-east-1"]
            self.assertEqual(len(self.sim.client("sso-admin", world).list_instances()["Instances"]), len(here))
            seen["sso", bool(here)] = True
            if features.get("sso") and not here:
                self.sim.admin("POST", "traps", {"traps": "-sso_home_region_only"})
                self.assertEqual(len(self.sim.client("sso-admin", world).list_instances()["Instances"]), 1)
                self.sim.admin("POST", "traps", {"traps": "all"})
                seen["sso elsewhere"] = True
            settings = self.sim.client("backup", world).describe_global_settings()["GlobalSettings"]
            self.assertEqual(settings, features.get("backup", {}))
            fms = self.sim.client("fms", world)
            if "fms" in features:
                self.assertEqual(fms.get_admin_account()["AdminAccount"], features["fms"]["AdminAccount"])
            else:
                self.refused("ResourceNotFoundException", fms.get_admin_account)
            seen["fms", "fms" in features] = True
            shares = self.sim.client("ram", world).get_resource_shares(resourceOwner="SELF")["resourceShares"]
            self.assertEqual(len(shares), len(features.get("ram", [])))
            status = self.sim.client("cloudformation", world).describe_organizations_access()["Status"]
            self.assertEqual(status, features.get("stacksets", "DISABLED"))
        for what in (("sso", True), ("sso", False), "sso elsewhere", ("fms", True), ("fms", False)):
            self.assertIn(what, seen)

    def test_invoices_and_exports(self):
        invoicing = self.sim.client("invoicing", self.world)
        mine = {"ResourceType": "ACCOUNT_ID", "Value": self.world["account"]}
        self.assertEqual(len(invoicing.list_invoice_summaries(Selector=mine)["InvoiceSummaries"]), 1)
        profile = invoicing.batch_get_invoice_profile(AccountIds=[self.world["account"]])["Profiles"][0]
        self.assertEqual(profile["AccountId"], self.world["account"])
        for seed in range(200, 240):
            world = self.sim.make("healthy", seed)
            exports = self.sim.state(world["account"]).get("exports")
            if world["access"] == "key" and exports:
                client = self.sim.client("bcm-data-exports", world)
                arn = client.list_exports()["Exports"][0]["ExportArn"]
                self.assertEqual(client.get_export(ExportArn=arn)["Export"]["Name"], "focus")
                return
        self.fail("no world with an export")


class Acts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--orgs", "1", "--seed", "3", "--kinds", "healthy")

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def names(self, account):
        return [e["EventName"] for e in self.sim.state(account)["trail_events"]]

    def test_every_foreign_act_changes_something_and_leaves_an_event(self):
        acts = re.findall(r'\{"(foreign\.\w+)"', text_of("tests/awssim/acts_foreign.c"))
        self.assertGreaterEqual(len(acts), 12)
        for what in acts:
            world = self.sim.make("bucket_exists_with_policy", 9)
            for seed in range(10, 60):
                if len(self.sim.state(world["account"])["cur"]["reports"]) > 0:
                    break
                world = self.sim.make("bucket_exists_with_policy", seed)
            self.sim.act(world["account"], "foreign.create_role", role="doitintl_cmp")
            if what == "foreign.detach_policy":
                self.sim.act(world["account"], "foreign.attach_policy", role="doitintl_cmp")
            if what == "foreign.change_report":
                self.sim.act(world["account"], "foreign.second_report", report="doitintl-ours")
            more = {"path": ["iam", "groups", "Ops"], "value": {"Path": "/"}, "event": "CreateGroup"} if what == "foreign.edit" else {}
            before, events = self.sim.admin("GET", f"world/{world['account']}/digest"), len(self.names(world["account"]))
            self.sim.act(world["account"], what, **more)
            self.assertNotEqual(before["digest"], self.sim.admin("GET", f"world/{world['account']}/digest")["digest"], what)
            self.assertGreater(len(self.names(world["account"])), events, what)

    def test_root_email_reaches_organization_account_and_trail(self):
        world = self.sim.make("healthy", 5)
        self.sim.act(world["account"], "customer.root_email", email="awsops+x@doit-intl.com")
        state = self.sim.state(world["account"])
        self.assertEqual(state["organization"]["MasterAccountEmail"], "awsops+x@doit-intl.com")
        self.assertEqual(state["accounts"][world["account"]]["Email"], "awsops+x@doit-intl.com")
        self.assertIn("EmailUpdated", self.names(world["account"]))

    def test_mfa_overlap_never_leaves_root_without_a_device(self):
        world = self.sim.make("healthy", 5)
        own = self.sim.state(world["account"])["root"]["mfa_devices"]
        self.sim.act(world["account"], "operator.root_mfa_on")
        both = self.sim.state(world["account"])["root"]["mfa_devices"]
        self.sim.act(world["account"], "customer.root_mfa_leave")
        left = self.sim.state(world["account"])["root"]["mfa_devices"]
        self.assertEqual((len(own), len(both), len(left)), (1, 3, 2))
        self.assertEqual(self.names(world["account"]), ["EnableMFADevice", "EnableMFADevice", "DeactivateMFADevice"])

    def test_acts_may_be_repeated(self):
        world = self.sim.make("role_name_taken", 5)
        for what in ("operator.root_mfa_on", "customer.rename_role", "customer.billing_access_on", "customer.root_mfa_off"):
            self.sim.act(world["account"], what)
            digest = self.sim.admin("GET", f"world/{world['account']}/digest")
            self.sim.act(world["account"], what)
            self.assertEqual(digest, self.sim.admin("GET", f"world/{world['account']}/digest"), what)

    def test_unknown_acts_are_refused(self):
        world = self.sim.make("healthy", 5)
        with self.assertRaises(AssertionError):
            self.sim.act(world["account"], "customer.fly")


class Dispatcher(http.server.BaseHTTPRequestHandler):
    """Just enough of a dispatcher to ask people for things: tasks of two imports, closed when their world shows the change."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.headers.get("Authorization") != "Bearer t0ken":
            return self.answer(401, {})
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        if path == "/v1/tasks":
            tasks = [t for t in self.server.tasks if t["id"] not in self.server.closed]
            start = 0
            if "starting_after" in query:
                start = 1 + [t["id"] for t in self.server.tasks if t in tasks].index(query["starting_after"])
            page = tasks[start:start + 2]  # small pages on purpose
            return self.answer(200, {"data": page, "has_more": start + 2 < len(tasks), "next": page[-1]["id"] if page else None})
        if path == "/v1/imports":
            return self.answer(200, {"data": [i for i in self.server.failed if i["state"] == query["state"]], "has_more": False})
        if path.startswith("/v1/tasks/"):  # people look again before they act
            task = [t for t in self.server.tasks if t["id"] == path.rsplit("/", 1)[1] and t["id"] not in self.server.closed]
            return self.answer(200 if task else 404, task[0] if task else {})
        import_id = path.rsplit("/", 1)[1]
        return self.answer(200, {"id": import_id, "organization": {"management_account_id": self.server.accounts[import_id]}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        self.server.posted.append((self.path, body))
        self.answer(200, {})


class People(unittest.TestCase):
    def setUp(self):
        self.fleet = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dispatcher)
        self.fleet.tasks, self.fleet.failed, self.fleet.closed, self.fleet.posted, self.fleet.accounts = [], [], set(), [], {}
        threading.Thread(target=self.fleet.serve_forever, daemon=True).start()
        with tempfile.NamedTemporaryFile("w", delete=False) as token:
            token.write("t0ken\n")
        self.addCleanup(os.unlink, token.name)
        self.sim = Sim("--orgs", "1", "--seed", "4", "--kinds", "healthy", "--people", f"http://127.0.0.1:{self.fleet.server_port}",
                       "--people-token-file", token.name, "--people-delay-ms", "40")

    def tearDown(self):
        self.sim.stop()
        self.fleet.shutdown()
        self.fleet.server_close()

    def open(self, world, step, data=None, party="operator", **more):
        import_id = "imp_" + world["account"]
        self.fleet.accounts[import_id] = world["account"]
        task = {"id": f"tsk_{import_id[4:]}.{step}", "import_id": import_id, "step": step, "party": party, "data": data or {},
                "attest": False, "second_person": False, "input": None, **more}
        self.fleet.tasks.append(task)
        return task

    def said(self, task, verb):
        return wait_until(lambda: [b for p, b in list(self.fleet.posted) if p == f"/v1/tasks/{task['id']}:{verb}"], f"{task['step']} {verb}")

    def of(self, access, mfa, kind="healthy"):
        for seed in range(1, 200):
            world = self.sim.make(kind, seed)
            if world["access"] == access and world["mfa_mode"] == mfa:
                return world
        raise AssertionError("no such world")

    def test_people_do_every_step_of_a_role_customer(self):
        world = self.of("role", "overlap")
        account, email = world["account"], "awsops+peo@doit-intl.com"
        access = self.open(world, "access_handover", {"bootstrap_role": "OrgImportBootstrap", "operator_account_id": "999900000001",
                                                      "external_id": "e-1"}, party="customer")
        mailbox = self.open(world, "mailbox_ready", {"mailbox": email}, input={"key": "code", "pattern": "[0-9]{6}"})
        address = self.open(world, "root_email", {"root_email": email}, party="customer+operator")
        handover = self.open(world, "root_mfa_handover", {"mode": "overlap"}, party="customer")
        password, mfa = self.open(world, "root_password"), self.open(world, "root_mfa")
        payment = self.open(world, "payment_method", attest=True, second_person=True)
        verify = self.open(world, "org_email_verify", attest=True)
        self.sim.admin("POST", "mail", {"to": email, "subject": "Code", "text": "Code: 424242\n\nfor 123456789012"})
        self.assertEqual(self.said(mailbox, "done")[0]["code"], "424242")
        for task in (access, address, handover, password, mfa):
            self.said(task, "recheck")
        self.assertTrue(self.said(payment, "done")[0]["second_person"])
        word = self.said(verify, "done")[0]
        self.assertTrue(word["by"] and word["note"])
        state = self.sim.state(account)
        self.assertIn("e-1", state["iam"]["roles"]["OrgImportBootstrap"]["AssumeRolePolicyDocument"])
        self.assertEqual(state["organization"]["MasterAccountEmail"], email)
        self.assertEqual([d["SerialNumber"].rsplit("/")[-1] for d in state["root"]["mfa_devices"]], ["operator-security", "operator-operations"])
        names = {e["EventName"] for e in state["trail_events"]}
        self.assertLessEqual({"EmailUpdated", "PasswordUpdated", "EnableMFADevice", "DeactivateMFADevice", "Instruments_Create",
                              "Preferences_UpdatePaymentProfile", "CreateRole"}, names)
        sts = self.sim.client("sts", own="operator")
        arn = f"arn:aws:iam::{account}:role/OrgImportBootstrap"
        wait_until(lambda: self.can_assume(sts, RoleArn=arn, RoleSessionName="t-1", ExternalId="e-1"), "the role works")
        self.assertFalse(self.can_assume(sts, RoleArn=arn, RoleSessionName="t-1", ExternalId="other"))

    def can_assume(self, sts, **ask):
        try:
            return bool(sts.assume_role(**ask))
        except ClientError:
            return False

    def test_classic_customers_remove_their_device_first(self):
        world = self.of("key", "classic")
        handover = self.open(world, "root_mfa_handover", {"mode": "classic"}, party="customer")
        self.said(handover, "recheck")
        self.assertEqual(self.sim.state(world["account"])["root"]["mfa_devices"], [])
        self.fleet.closed.add(handover["id"])
        self.said(self.open(world, "root_mfa"), "recheck")
        self.assertEqual(len(self.sim.state(world["account"])["root"]["mfa_devices"]), 2)

    def test_wrong_email_comes_first_then_the_right_one(self):
        world = self.sim.make("wrong_email_first", 3)
        self.open(world, "root_email", {"root_email": "awsops+w@doit-intl.com"}, party="customer+operator")

        def email():
            return self.sim.state(world["account"])["organization"]["MasterAccountEmail"]
        wait_until(lambda: email() == "oops-awsops+w@doit-intl.com", "the wrong one")
        wait_until(lambda: email() == "awsops+w@doit-intl.com", "the right one")

    def test_nobody_home_leaves_the_root_email_alone(self):
        world, other = self.sim.make("nobody_home", 3), self.sim.make("healthy", 3)
        self.open(world, "root_email", {"root_email": "awsops+n@doit-intl.com"}, party="customer+operator")
        self.said(self.open(other, "root_email", {"root_email": "awsops+o@doit-intl.com"}), "recheck")
        self.assertFalse(self.sim.state(world["account"])["organization"]["MasterAccountEmail"].startswith("awsops"))

    def test_a_refusing_customer_rejects_with_a_reason(self):
        world = self.sim.make("customer_refuses", 3)
        task = self.open(world, "root_mfa_handover", party="customer")
        self.assertIn("policy", self.said(task, "reject")[0]["reason"])

    def test_a_revoked_key_dies_after_the_email(self):
        world = self.sim.make("key_revoked", 3)
        sts = self.sim.client("sts", world)
        sts.get_caller_identity()
        self.said(self.open(world, "root_email", {"root_email": "awsops+k@doit-intl.com"}), "recheck")
        with self.assertRaises(ClientError):
            sts.get_caller_identity()
        self.sim.act(world["account"], "customer.new_key")
        again = self.sim.admin("GET", f"world/{world['account']}")
        self.assertEqual(self.sim.client("sts", again).get_caller_identity()["Account"], world["account"])

    def test_failed_imports_are_mended_and_retried(self):
        world = self.sim.make("mends_after_failure", 3)
        self.assertIn("DOITINTL_CMP", self.sim.state(world["account"])["iam"]["roles"])
        self.fleet.failed.append({"id": "imp_m", "organization": {"management_account_id": world["account"]}, "state": "failed"})
        wait_until(lambda: any(p == "/v1/imports/imp_m:retry" for p, _ in list(self.fleet.posted)), "retry")
        self.assertNotIn("DOITINTL_CMP", self.sim.state(world["account"])["iam"]["roles"])
        self.fleet.failed[0]["state"] = "held"
        accepted = wait_until(lambda: [b for p, b in list(self.fleet.posted) if p == "/v1/imports/imp_m:accept"], "accept")
        self.assertIn("renamed", accepted[0]["reason"])

    def test_imports_of_nobody_here_are_left_alone(self):
        self.open({"account": "123456789012"}, "root_email", {"root_email": "a@b.example"})
        world = self.sim.make("healthy", 3)
        self.said(self.open(world, "org_email_verify", attest=True), "done")
        self.assertFalse([p for p, _ in self.fleet.posted if "123456789012" in p])


if __name__ == "__main__":
    unittest.main(verbosity=1)
