"""A running simulator and signed requests to it, by boto3 and as bytes on a wire. Shared by the awssim tests."""
import collections
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import botocore_new  # noqa: E402,F401

import boto3  # noqa: E402
from botocore.auth import S3SigV4Auth, SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

BIN = os.path.join(sys.argv.pop(1), "orgimport-awssim") if len(sys.argv) > 1 else "build/bin/orgimport-awssim"
if not os.access(BIN, os.X_OK):
    print("skip: no", BIN)
    sys.exit(77)


def text_of(file):
    with open(file, encoding="utf-8") as f:
        return f.read()


TARGETS = {"organizations": "AWSOrganizationsV20161128", "cur": "AWSOrigamiServiceGatewayService",
           "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "sso": "SWBExternalService",
           "partnercentral-channel": "PartnerCentralChannel"}
Answer = collections.namedtuple("Answer", "status headers text")


class Sim:
    def __init__(self, *flags):
        self.dir = tempfile.mkdtemp(prefix="awssim-")
        self.effects_file = os.path.join(self.dir, "effects.jsonl")
        address = os.path.join(self.dir, "address")
        own = os.path.join(self.dir, "own.ini")
        self.process = subprocess.Popen([BIN, "--orgs", "1", "--kinds", "healthy", "--address-file", address, "--effects",
                                         self.effects_file, "--operator-credentials", own, *flags], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.path.exists(address):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the simulator did not start")
            time.sleep(0.02)
        self.url = text_of(address).strip()
        self.host = self.url.split("//")[1]
        self.own = {}
        for section, lines in re.findall(r"\[(\w+)\]\n([^\[]*)", text_of(own)):
            self.own[section] = dict(re.findall(r"(\w+) = (\S+)", lines))
        self.seed = 100

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)
        if code != 0:
            raise AssertionError(f"the simulator ended with {self.process.returncode}")

    def admin(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + "/_sim/" + path, data), timeout=30) as answer:
            return json.load(answer)

    def world(self):
        """A new healthy organization whose administrator's key we hold."""
        while True:
            self.seed += 1
            made = self.admin("world", {"kind": "healthy", "seed": self.seed})
            if "access_key_id" in made:
                return World(self, made["account"], made["access_key_id"], made["secret_access_key"])

    def traps(self, text):
        self.admin("traps", {"traps": text})


class World:
    """An account and a key in it: boto3 clients and raw signed requests."""

    def __init__(self, sim, account, key, secret, token=None):
        self.sim, self.account, self.keys = sim, account, (key, secret, token)

    def client(self, service, region="us-east-1", attempts=1):
        return boto3.client(service, endpoint_url=self.sim.url, region_name=region, aws_access_key_id=self.keys[0],
                            aws_secret_access_key=self.keys[1], aws_session_token=self.keys[2],
                            config=Config(retries={"max_attempts": attempts, "mode": "standard"}, read_timeout=10,
                                          s3={"addressing_style": "path"}))

    def raw(self, service, what, params=None, method="POST", path="/", headers=None, region="us-east-1", change=None,
            sign=True):
        """One signed request as bytes on a wire of its own. what: action, or for S3 unused. params: form, JSON or S3 body."""
        headers = dict(headers or {})
        if service in ("sts", "iam", "cloudformation"):
            body = urllib.parse.urlencode({"Action": what, "Version": "2010-05-08", **(params or {})}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        elif service == "s3":
            body = params or b""
        elif service in TARGETS:
            body = json.dumps(params or {}).encode()
            headers["X-Amz-Target"] = TARGETS[service] + "." + what
            headers["Content-Type"] = "application/x-amz-json-1.1"
        else:
            body, path = json.dumps(params or {}).encode(), "/" + what
            headers["Content-Type"] = "application/json"
        request = AWSRequest(method, self.sim.url + path, data=body, headers=headers)
        if sign:
            (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*self.keys), service, region).add_auth(request)
        prepared = request.prepare()
        sent = {k: v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items()}
        if change:
            body = change(sent, body) or body
        connection = http.client.HTTPConnection(self.sim.host, timeout=10)
        try:
            connection.request(method, path, body, {"Host": self.sim.host, **sent})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    def role_session(self, role="probe", external="ext", managed="arn:aws:iam::aws:policy/ReadOnlyAccess"):
        iam = self.client("iam")
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(self.account, external))
        if managed:
            iam.attach_role_policy(RoleName=role, PolicyArn=managed)
        sts = self.client("sts")
        arn = f"arn:aws:iam::{self.account}:role/{role}"
        made = until(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="abc", ExternalId=external), "AccessDenied")
        keys = made["Credentials"]
        return World(self.sim, self.account, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def trust(account, external=None):
    one = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    if external:
        one["Condition"] = {"StringEquals": {"sts:ExternalId": external}}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


def until(call, code, seconds=20):
    """Repeats a call while it is refused with `code` (eventual consistency)."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ClientError as e:
            if e.response["Error"]["Code"] != code or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def code_of(call):
    try:
        call()
        return "ok"
    except ClientError as e:
        return e.response["Error"]["Code"]


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        self.sim.traps("all")
        self.sim.admin("faults", {"preset": "none"})
        self.sim.admin("clock", {"skew_ms": 0})
