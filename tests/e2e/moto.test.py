"""A bulk file of 20 customers, imported end to end with sts, iam and s3 answered by moto_server, which nobody here wrote, and
the rest by awssim. What was made is read back with the `aws` command line."""
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

bin_dir = os.path.abspath(sys.argv[1])
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "moto"))


def skip(why):
    print("SKIPPED:", why)
    sys.exit(1 if os.environ.get("REQUIRE_MOTO") == "1" else 77)


if not shutil.which("moto_server"):
    skip("moto_server is not installed")
try:
    import boto3
    import proxy
    from botocore.config import Config
except ImportError as e:
    skip(f"{e}")

work = tempfile.mkdtemp(prefix="oi-moto-")
children = []
CUSTOMERS = int(os.environ.get("CUSTOMERS", "20"))


def start(name, args, **kw):
    log = open(f"{work}/{name}.log", "ab")
    p = subprocess.Popen(args, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **kw)
    children.append((name, p))
    return p


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        for name, p in children:
            if p.poll() not in (None, 0) and name != "import":
                raise SystemExit(f"{name} ended with {p.returncode}:\n" + open(f"{work}/{name}.log").read()[-3000:])
        time.sleep(0.1)
    raise SystemExit(f"no {what} within {seconds} s\n" + "\n".join(
        f"--- {n}\n" + open(f"{work}/{n}.log").read()[-1500:] for n, _ in children))


def file_text(name):
    try:
        return open(f"{work}/{name}").read().strip()
    except OSError:
        return ""


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def http_up(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def client(service, key, secret, port, account):
    c = boto3.client(service, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1",
                     endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={"max_attempts": 1}))
    c.meta.events.register("before-send.*", lambda request, **kw: request.headers.__setitem__("x-moto-account-id", account))
    return c


def run():
    moto_port, dispatcher_port = free_port(), free_port()
    start("moto", ["moto_server", "-H", "127.0.0.1", "-p", str(moto_port)])
    start("awssim", [f"{bin_dir}/orgimport-awssim", "--listen=127.0.0.1:0", f"--address-file={work}/sim.address",
                     f"--orgs={CUSTOMERS}", "--seed=20", "--kinds=healthy_key", f"--customers={work}/customers.csv",
                     f"--credentials={work}/sim-keys.ini", f"--operator-credentials={work}/operator-all.ini",
                     f"--worlds={work}/worlds.json", f"--effects={work}/effects.jsonl", "--people", f"http://127.0.0.1:{dispatcher_port}",
                     f"--people-token-file={work}/token", "--people-delay-ms=300", "--traps=none"])
    wait_for("moto", lambda: http_up(f"http://127.0.0.1:{moto_port}/moto-api/"))
    sim_port = int(wait_for("awssim", lambda: file_text("sim.address")).rsplit(":", 1)[1])

    clouds = proxy.Clouds(moto_port, sim_port)
    proxy_port = proxy.serve(clouds)
    rows = list(csv.DictReader(open(f"{work}/customers.csv", encoding="utf-8")))
    import configparser
    sim_keys = configparser.RawConfigParser()
    sim_keys.read(f"{work}/sim-keys.ini")
    with open(os.open(f"{work}/keys.ini", os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
        for row in rows:
            account = row["organization.management_account_id"]
            iam = client("iam", "AKIAMOTOSEED00000000", "x", moto_port, account)
            iam.create_user(UserName="orgimport-admin")
            iam.attach_user_policy(UserName="orgimport-admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
            key = iam.create_access_key(UserName="orgimport-admin")["AccessKey"]
            sim = sim_keys[row["external_ref"]]
            clouds.accounts[key["AccessKeyId"]] = (account, sim["aws_access_key_id"], sim["aws_secret_access_key"])
            out.write(f"[{row['external_ref']}]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n\n")
    # Without the trusted account's keys the live probe of the new role is "not observed": moto lets anyone assume anything.
    operator = configparser.RawConfigParser()
    operator.read(f"{work}/operator-all.ini")
    operator.remove_section("trusted")
    with open(os.open(f"{work}/operator.ini", os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
        operator.write(out)

    start("redis", ["redis-server", "--port", "0", "--unixsocket", f"{work}/redis.sock", "--dir", work, "--appendonly", "yes",
                    "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"])
    wait_for("redis", lambda: os.path.exists(f"{work}/redis.sock"))
    common = [f"--redis=unix://{work}/redis.sock", "--mode=sim", f"--keys={work}/keys"]
    subprocess.run([f"{bin_dir}/orgimport-dispatcher", "--make-keys", *common[2:], f"--token-file={work}/token"], check=True)
    start("dispatcher", [f"{bin_dir}/orgimport-dispatcher", *common, f"--listen=127.0.0.1:{dispatcher_port}", f"--token-file={work}/token"])
    start("worker", [f"{bin_dir}/orgimport-worker", *common, f"--endpoints=http://127.0.0.1:{proxy_port}",
                     f"--sim-credentials={work}/operator.ini", "--rate-scale-pct=100000", "--poll-ms=500", "--settle-ms=4000"])
    wait_for("dispatcher", lambda: http_up(f"http://127.0.0.1:{dispatcher_port}/readyz"))
    cli = [f"{bin_dir}/orgimport", f"--url=http://127.0.0.1:{dispatcher_port}", f"--token-file={work}/token"]
    subprocess.run([*cli, "import", f"{work}/customers.csv", "--credentials", f"{work}/keys.ini"], check=True, stdout=subprocess.DEVNULL)

    def states():
        text = subprocess.run([*cli, "list", "--output", "json"], check=True, capture_output=True, text=True).stdout
        return [(i["external_ref"], i["state"], i.get("verdict"), i.get("error"), i.get("blocking")) for i in json.loads(text)]

    def finished():
        bad = [s for s in states() if s[1] in ("failed", "held", "cancelled")]
        if bad:
            raise SystemExit(f"did not complete: {bad[:3]}")
        return all(s[1] == "completed" for s in states())

    try:
        wait_for("end of all imports", finished, 420)
    except SystemExit:
        print(states()[:5], proxy.summary(clouds))
        raise
    assert all(s[2] == "PROVEN" for s in states()), states()
    read_back(rows, moto_port)
    print("calls by cloud:", proxy.summary(clouds))
    print(f"{len(rows)} customers completed, all PROVEN; roles, policies and buckets read back with the aws command line")


def aws(account_keys, port, *words):
    env = dict(os.environ, AWS_ACCESS_KEY_ID=account_keys["AccessKeyId"], AWS_SECRET_ACCESS_KEY=account_keys["SecretAccessKey"],
               AWS_SESSION_TOKEN=account_keys["SessionToken"], AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
    out = subprocess.run(["aws", "--endpoint-url", f"http://127.0.0.1:{port}", "--output", "json", *words], env=env, check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out) if out.strip() else None


def read_back(rows, port):
    """With temporary keys of each account, by a client and a command line that share nothing with us."""
    if not shutil.which("aws"):
        print("the aws command line is not installed: read-back left out")
        return
    sts = client("sts", "AKIAMOTOSEED00000000", "x", port, "123456789012")
    for row in rows[:: max(1, len(rows) // 5)]:
        account = row["organization.management_account_id"]
        keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/reader", RoleSessionName="reader")["Credentials"]
        role = aws(keys, port, "iam", "get-role", "--role-name", "doitintl_cmp")["Role"]
        assert "sts:ExternalId" in json.dumps(role["AssumeRolePolicyDocument"]), role
        assert {t["Key"] for t in role["Tags"]} >= {"doit:onboarding"}, role
        users = [u["UserName"] for u in aws(keys, port, "iam", "list-users")["Users"]]
        assert "orgimport-admin" not in users, users
        buckets = [b["Name"] for b in aws(keys, port, "s3api", "list-buckets")["Buckets"] if b["Name"].startswith("doitintl-awsops-")]
        assert len(buckets) == 1, buckets
        block = aws(keys, port, "s3api", "get-public-access-block", "--bucket", buckets[0])["PublicAccessBlockConfiguration"]
        assert all(block.values()), block
        policy = json.loads(aws(keys, port, "s3api", "get-bucket-policy", "--bucket", buckets[0])["Policy"])
        assert "billingreports.amazonaws.com" in json.dumps(policy), policy


try:
    run()
finally:
    for _, p in reversed(children):
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
    for _, p in reversed(children):
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
    if os.environ.get("KEEP") != "1":
        shutil.rmtree(work, ignore_errors=True)
