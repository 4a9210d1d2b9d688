"""Tests against moto_server, a simulation of AWS that nobody here wrote: programs that end with the test, waiting without
sleeping for luck, and boto3 clients that act in any account."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request


def skip(why):
    print("SKIPPED:", why)
    sys.exit(1 if os.environ.get("REQUIRE_MOTO") == "1" else 77)


if not shutil.which("moto_server"):
    skip("moto_server is not installed")
try:
    import boto3
    from botocore.config import Config
except ImportError as why_not:
    skip(str(why_not))


def http_post(url, body):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "text/plain"})
    return urllib.request.urlopen(request, timeout=20).read()


class Programs:
    """Started here, ended here; their logs and all else lie in one folder that goes with them."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="oi-moto-")
        self.running = {}
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def path(self, name):
        return os.path.join(self.dir, name)

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def start(self, name, args, env=None):
        with open(self.path(name + ".log"), "ab") as log:
            self.running[name] = subprocess.Popen(args, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)

    def wait(self, what, condition, seconds=60, every=0.1):
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            for name, p in self.running.items():
                if p.poll() is not None:
                    raise SystemExit(f"{name} ended with {p.returncode}\n{self.logs()}")
            if time.monotonic() > end:
                raise SystemExit(f"no {what} within {seconds} s\n{self.logs()}")
            time.sleep(every)

    def logs(self):
        return "\n".join(f"--- {name}\n{self.text(name + '.log')[-2500:]}" for name in self.running)

    def stop(self):
        """Everything must end by itself, with 0 but for moto_server, and with nothing from the sanitizers."""
        bad = []
        for name, p in reversed(self.running.items()):
            if p.poll() is None:
                p.terminate()
            try:
                code = p.wait(30)
            except subprocess.TimeoutExpired:
                p.kill()
                code = p.wait(10)
            log = self.text(name + ".log")
            if (code and name != "moto") or "Sanitizer" in log or "runtime error:" in log:
                bad.append(f"{name} ended with {code}\n{log[-4000:]}")
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(self.dir, ignore_errors=True)
        return bad


class Moto:
    def __init__(self, programs, has_managed_policies=True):
        """AWS's own policies cost moto a tenth of a second and more for each account."""
        # Its own words tell the port, so no other test can take it in between.
        programs.start("moto", ["moto_server", "-H", "127.0.0.1", "-p", "0"], 
                       dict(os.environ, PYTHONUNBUFFERED="1", MOTO_IAM_LOAD_MANAGED_POLICIES=str(has_managed_policies).lower()))
        found = programs.wait("moto_server", lambda: re.search(r"Running on http://127\.0\.0\.1:(\d+)", programs.text("moto.log")))
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}"
        self.account = "123456789012"
        self.clients = {}

    def check_callers(self, is_on):
        """Signatures, keys and permissions: moto checks all of them or none."""
        http_post(self.url + "/moto-api/reset-auth", "0" if is_on else "1e18")

    def boto(self, service, account, region="us-east-1"):
        """A client that acts in that account while callers are not checked."""
        self.account = account
        if (service, region) not in self.clients:
            c = boto3.client(service, aws_access_key_id="AKIAMOTOSEED00000000", aws_secret_access_key="x", region_name=region,
                             endpoint_url=self.url, config=Config(retries={"max_attempts": 1}))
            c.meta.events.register("before-send.*", self.name_account)
            self.clients[service, region] = c
        return self.clients[service, region]

    def name_account(self, request, **_):
        request.headers["x-moto-account-id"] = self.account
