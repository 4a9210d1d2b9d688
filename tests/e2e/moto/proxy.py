"""Answers a fleet from two clouds that do not know each other: moto_server (sts, iam, s3) and orgimport-awssim (the rest).

The fleet signs with keys that moto made. Calls that moto lacks or hard-codes go to awssim, signed again with the awssim
key of the same account, because awssim checks signatures. The account of a call is known from its access key."""
import http.client
import http.server
import json
import re
import threading
import urllib.parse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# Calls of the three services that moto cannot answer truthfully. The closing note of the change lists them.
NOT_MOTO = {
    "iam": {"SimulatePrincipalPolicy", "GetAccountSummary", "ListVirtualMFADevices", "ListOrganizationsFeatures",
            "ListSigningCertificates", "ListSSHPublicKeys", "ListServiceSpecificCredentials"},
    "sts": set(),
    "s3": set(),
}


class Clouds:
    def __init__(self, moto_port, sim_port):
        self.moto_port, self.sim_port = moto_port, sim_port
        self.accounts = {}  # access key id -> (account, awssim key id, awssim secret)
        self.dead = set()  # keys that moto no longer has
        self.used = {}  # "service:Action" -> count by cloud
        self.lock = threading.Lock()

    def note(self, cloud, service, action):
        with self.lock:
            key = f"{cloud} {service}:{action}"
            self.used[key] = self.used.get(key, 0) + 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    clouds = None

    def log_message(self, *args):
        pass

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        if not found:  # awssim's own pages (mail)
            return self.forward(self.clouds.sim_port, self.headers, body)
        key, region, service = found.groups()
        form = urllib.parse.parse_qs(body.decode("latin1")) if service in ("iam", "sts") else {}
        action = form.get("Action", [self.headers.get("X-Amz-Target", self.command + " " + self.path).split(".")[-1]])[0]
        account = self.clouds.accounts.get(key)
        if service in NOT_MOTO and action not in NOT_MOTO[service] and account:
            self.clouds.note("moto", service, action)
            headers = dict(self.headers)
            headers["x-moto-account-id"] = account[0]
            return self.forward(self.clouds.moto_port, headers, body)
        self.clouds.note("awssim", service, action)
        if not account:
            return self.forward(self.clouds.sim_port, self.headers, body)
        return self.forward(self.clouds.sim_port, self.sign_again(account, region, service, body), body)

    def sign_again(self, account, region, service, body):
        keep = {k: v for k, v in self.headers.items()
                if k.lower() not in ("authorization", "x-amz-date", "x-amz-security-token", "connection", "content-length")}
        url = f"http://{self.headers['Host']}{self.path}"
        request = AWSRequest(method=self.command, url=url, data=body, headers=keep)
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(account[1], account[2]), service, region)
        signer.add_auth(request)
        return dict(request.headers.items())

    def forward(self, port, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "server"):
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.headers.get("Content-Length", "0"))
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any


def serve(clouds):
    handler = type("BoundHandler", (Handler,), {"clouds": clouds})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def summary(clouds):
    return json.dumps(dict(sorted(clouds.used.items())), indent=1)
