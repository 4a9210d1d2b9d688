"""Answers a fleet from two clouds that do not know each other: moto_server (sts, iam, s3) and orgimport-awssim (the rest).

The fleet signs with keys that moto made, and moto checks those signatures. What goes to awssim is signed again with the
awssim key of the same account, because awssim checks signatures too. Whose call it is shows in the access key."""
import collections
import http.client
import http.server
import json
import re
import socket
import sys
import threading
import urllib.parse
import xml.etree.ElementTree

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# Calls of sts, iam and s3 that moto does not answer truthfully, and why. Everything else of the three is moto's.
NOT_MOTO = {
    "iam:SimulatePrincipalPolicy": "moto has no such call",
    "iam:ListOrganizationsFeatures": "moto has no such call",
    "iam:GetAccountSummary": "moto hard-codes root's second factor and keys as absent; root lives in awssim",
    "iam:ListVirtualMFADevices": "root's devices are put there by the people of awssim",
}
# Calls that moto answers and awssim must hear of, and why. Both must say yes; the fleet gets moto's answer.
BOTH = {
    "s3:CreateBucket": "AWS looks at the bucket when a report is put, and cur lives in awssim",
    "s3:PutBucketPolicy": "as CreateBucket: awssim takes no report before the policy allows it",
    "sts:AssumeRole": "moto looks at no trust of another account's role; awssim does, and moto gives the session",
}
SUB_RESOURCES = {"publicAccessBlock": "PublicAccessBlock", "policy": "BucketPolicy", "tagging": "BucketTagging",
                 "ownershipControls": "BucketOwnershipControls", "encryption": "BucketEncryption", "location": "BucketLocation"}
HOP = {"connection", "content-length", "transfer-encoding", "server", "keep-alive"}

Key = collections.namedtuple("Key", "id secret token twin", defaults=(None, None))  # twin: the same account's key in awssim


class Clouds:
    def __init__(self, moto_port, sim_port):
        self.moto_port, self.sim_port = moto_port, sim_port
        self.keys = {}  # id -> Key, those that moto made
        self.used = collections.Counter()  # "cloud service:Action" -> calls
        self.refused = collections.Counter()  # the same with the status of what was not 2xx
        self.respelled = collections.Counter()  # calls whose signature was checked here instead of by moto
        self.lock = threading.Lock()

    def note(self, cloud, name, status):
        with self.lock:
            self.used[f"{cloud} {name}"] += 1
            if status >= 300:
                self.refused[f"{cloud} {name} {status}"] += 1


def s3_action(method, path, query):
    bucket = path.strip("/")
    for sub, name in SUB_RESOURCES.items():
        if sub in query:
            return method.title() + name
    if not bucket:
        return "ListBuckets"
    if "/" in bucket:
        return method.title() + "Object"
    return {"GET": "ListObjectsV2", "PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(method, method)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    clouds = None

    def log_message(self, *args):
        pass

    def action_of(self, service, body):
        path, _, query = self.path.partition("?")
        if service == "s3":
            return s3_action(self.command, path, urllib.parse.parse_qs(query, keep_blank_values=True))
        form = urllib.parse.parse_qs(body.decode("latin1"))
        if "Action" in form:
            return form["Action"][0]
        if self.headers.get("X-Amz-Target"):
            return self.headers["X-Amz-Target"].split(".")[-1]
        return path.strip("/").split("/")[-1]

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        if not found:  # awssim's own pages: the mailbox
            return self.answer(self.forward(self.clouds.sim_port, self.headers, body))
        key, region, service = found.groups()
        name = f"{service}:{self.action_of(service, body)}"
        key = self.clouds.keys.get(key)
        signed = self.sign_again(key.twin, region, service, body) if key else self.headers
        if service not in ("sts", "iam", "s3") or name in NOT_MOTO:
            return self.answer(self.ask("awssim", name, signed, body))
        if name == "sts:AssumeRole":
            return self.answer(self.assume(name, signed, body))
        got = self.ask_moto(name, key, region, service, body)
        if name == "iam:DeleteAccessKey" and got[0] == 200:
            self.forget(body)
        if name in BOTH and got[0] < 300:
            also = self.ask("awssim", name, signed, body)
            got = got if also[0] < 300 else also
        return self.answer(got)

    def ask_moto(self, name, key, region, service, body):
        """moto holds a signature against its own spelling of forms (space as +) and queries (/ as it is); AWS against the
        bytes that came. A request spelled otherwise is checked here as AWS would, and signed again as moto spells it."""
        path, spelled = self.path.replace("%2F", "/"), body.replace(b"%20", b"+") if service in ("iam", "sts") else body
        if not key or (path, spelled) == (self.path, body):
            return self.ask("moto", name, self.headers, body)
        if not self.is_signed_by(key, region, service, body):
            return 403, [], b"<Error><Code>SignatureDoesNotMatch</Code><Message>found by the proxy</Message></Error>"
        with self.clouds.lock:
            self.clouds.respelled[name] += 1
        self.path = path
        return self.ask("moto", name, self.sign_again(key, region, service, spelled), spelled)

    def is_signed_by(self, key, region, service, body):
        authorization = self.headers["Authorization"]
        signed = re.search("SignedHeaders=([^, ]+)", authorization).group(1).split(";")
        headers = {k: v for k, v in self.headers.items() if k.lower() in signed}
        request = AWSRequest(method=self.command, url=f"http://{self.headers['Host']}{self.path}", data=body, headers=headers)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(key.id, key.secret, key.token), service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return authorization.endswith("Signature=" + signer.signature(text, request))

    def assume(self, name, signed, body):
        judged = self.ask("awssim", name, signed, body)
        if judged[0] != 200:
            return judged
        got = self.ask("moto", name, self.headers, body)
        if got[0] == 200:
            ours, theirs = session_of(got[2]), session_of(judged[2])
            self.clouds.keys[ours.id] = ours._replace(twin=theirs)
        return got

    def ask(self, cloud, name, headers, body):
        got = self.forward(self.clouds.moto_port if cloud == "moto" else self.clouds.sim_port, headers, body)
        self.clouds.note(cloud, name, got[0])
        return got

    def forget(self, body):
        """A key that moto deleted is dead in awssim too: what is signed with it goes there as it is, and is refused."""
        self.clouds.keys.pop(urllib.parse.parse_qs(body.decode("latin1"))["AccessKeyId"][0], None)

    def sign_again(self, key, region, service, body):
        drop = HOP | {"authorization", "x-amz-date", "x-amz-security-token"}
        keep = {k: v for k, v in self.headers.items() if k.lower() not in drop}
        request = AWSRequest(method=self.command, url=f"http://{self.headers['Host']}{self.path}", data=body, headers=keep)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(Credentials(key.id, key.secret, key.token), service, region).add_auth(request)
        return dict(request.headers.items())

    def forward(self, port, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        got = connection.getresponse()
        data = got.read()
        connection.close()
        return got.status, got.getheaders(), data

    def answer(self, got):
        status, headers, data = got
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any


def session_of(answer):
    tree = xml.etree.ElementTree.fromstring(answer)
    found = {e.tag.rpartition("}")[2]: (e.text or "").strip() for e in tree.iter()}
    return Key(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        """A caller that went away, as at the end of a test, is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(clouds):
    server = Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"clouds": clouds}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def summary(clouds):
    with clouds.lock:
        counts = {"calls": clouds.used, "refused": clouds.refused, "signature checked by the proxy, not by moto": clouds.respelled}
        return json.dumps({name: dict(sorted(count.items())) for name, count in counts.items()}, indent=1)
