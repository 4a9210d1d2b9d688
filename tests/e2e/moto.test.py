"""A bulk file of 20 customers, imported end to end with sts, iam and s3 answered by moto_server, which nobody here wrote and
which checks every signature and key, and the rest by awssim. Afterwards the accounts are read with the `aws` command line
and with boto3: what we promised is there, the handed-over keys are dead, and nothing else changed."""
import concurrent.futures
import configparser
import csv
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # leave nothing behind
sys.path[:0] = [os.path.join(here, "moto"), os.path.join(here, "../lib")]
import moto_cloud  # noqa: E402  (skips when moto_server or boto3 is missing)
import moto_estate as estate  # noqa: E402
import promise  # noqa: E402
import proxy  # noqa: E402

bin_dir = os.path.abspath(sys.argv[1])
CUSTOMERS = int(os.environ.get("CUSTOMERS", "20"))


def write_ini(path, sections):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
        for name, (key, secret) in sections.items():
            out.write(f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n")


def read_ini(path):
    parser = configparser.RawConfigParser()
    parser.read(path)
    return {s: (parser[s]["aws_access_key_id"], parser[s]["aws_secret_access_key"]) for s in parser.sections()}


class Run:
    def __init__(self, programs):
        self.programs, self.path = programs, programs.path
        self.moto = moto_cloud.Moto(programs)
        self.start_dispatcher()
        self.start_awssim()
        self.clouds = proxy.Clouds(self.moto.port, self.sim_port)
        self.proxy_port = proxy.serve(self.clouds)
        with open(self.path("customers.csv"), encoding="utf-8") as file:
            self.rows = {row["organization.management_account_id"]: row for row in csv.DictReader(file)}
        self.readers, self.handed_over, self.sim_keys = {}, {}, {}

    def start_dispatcher(self):
        self.programs.start("redis", ["redis-server", "--port", "0", "--unixsocket", self.path("redis.sock"), "--dir", self.programs.dir,
                                      "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"])
        self.programs.wait("redis", lambda: os.path.exists(self.path("redis.sock")))
        self.common = [f"--redis=unix://{self.path('redis.sock')}", "--mode=sim", f"--keys={self.path('keys')}"]
        dispatcher = [f"{bin_dir}/orgimport-dispatcher", *self.common, f"--token-file={self.path('token')}"]
        subprocess.run([*dispatcher, "--make-keys"], check=True, stdout=subprocess.DEVNULL)
        self.programs.start("dispatcher", [*dispatcher, "--listen=127.0.0.1:0", f"--address-file={self.path('address')}"])
        address = self.programs.wait("dispatcher", lambda: self.programs.text("address").strip())
        self.url = address if address.startswith("http") else "http://" + address
        self.cli = [f"{bin_dir}/orgimport", f"--url={self.url}", f"--token-file={self.path('token')}"]

    def start_awssim(self):
        self.programs.start("awssim", [
            f"{bin_dir}/orgimport-awssim", "--listen=127.0.0.1:0", f"--address-file={self.path('sim.address')}", f"--orgs={CUSTOMERS}",
            "--seed=20", "--kinds=healthy", "--accounts-max=12", f"--customers={self.path('customers.csv')}",
            f"--credentials={self.path('sim-keys.ini')}", f"--operator-credentials={self.path('sim-operator.ini')}",
            f"--people={self.url}", f"--people-token-file={self.path('token')}", "--people-delay-ms=200"])
        self.sim_port = int(self.programs.wait("awssim", lambda: self.programs.text("sim.address")).strip().rsplit(":", 1)[1])

    def known(self, key, sim):
        """moto's key, with awssim's key of the same account."""
        self.clouds.keys[key["AccessKeyId"]] = proxy.Key(key["AccessKeyId"], key["SecretAccessKey"], twin=proxy.Key(*sim))
        return key["AccessKeyId"], key["SecretAccessKey"]

    def sim_user(self, account, key_id):
        """The user of that key in awssim. moto's gets the same name: awssim answers the simulation of its rights."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sim_port}/_sim/world/{account}", timeout=30) as answer:
            users = json.load(answer)["state"]["iam"]["users"]
        return next(name for name, user in users.items() if key_id in user["access_keys"])

    def furnish(self):
        """Accounts as customers and the operator have them; every key is moto's."""
        sim_keys, sim_operator = read_ini(self.path("sim-keys.ini")), read_ini(self.path("sim-operator.ini"))
        self.sim_keys = {ref: {"AccessKeyId": key, "SecretAccessKey": secret} for ref, (key, secret) in sim_keys.items()}
        keys, operator = {}, {}
        for number, (account, row) in enumerate(self.rows.items()):
            iam = self.moto.boto("iam", account)
            estate.furnish(self.moto, number, account)
            self.readers[account] = estate.make_user(iam, "reader", estate.ADMINISTRATOR)
            if row["access.method"] == "role":
                # moto's part of the role: what its sessions may do. Its trust is awssim's business (proxy.BOTH).
                iam.create_role(RoleName="OrgImportBootstrap", AssumeRolePolicyDocument=estate.trust({"AWS": "arn:aws:iam::999900000001:root"}))
                iam.attach_role_policy(RoleName="OrgImportBootstrap", PolicyArn=estate.ADMINISTRATOR)
            else:
                key = estate.make_user(iam, self.sim_user(account, sim_keys[row["external_ref"]][0]), estate.ADMINISTRATOR)
                self.handed_over[account] = key
                keys[row["external_ref"]] = self.known(key, sim_keys[row["external_ref"]])
        # Without the trusted account's keys the live probe of the new roles is "not observed": see proxy.BOTH, sts:AssumeRole.
        for name, account in (("operator", "999900000001"), ("partner", "777788889999")):
            key = estate.make_user(self.moto.boto("iam", account), name, estate.ADMINISTRATOR)
            operator[name] = self.known(key, sim_operator[name])
        write_ini(self.path("keys.ini"), keys)
        write_ini(self.path("operator.ini"), operator)

    def imports(self):
        text = subprocess.run([*self.cli, "list", "--output", "json"], check=True, capture_output=True, text=True).stdout
        return json.loads(text)

    def finished(self):
        imports = self.imports()
        bad = [i for i in imports if i["state"] in ("failed", "held", "cancelled")]
        if bad:
            shown = subprocess.run([*self.cli, "show", bad[0]["external_ref"]], check=False, capture_output=True, text=True).stdout
            raise SystemExit(f"{len(bad)} did not complete; the first: {json.dumps(bad[0], indent=1)}\n{shown}\n{proxy.summary(self.clouds)}")
        return len(imports) == len(self.rows) and all(i["state"] == "completed" for i in imports) and imports

    def import_all(self):
        self.programs.start("worker", [
            f"{bin_dir}/orgimport-worker", *self.common, f"--endpoints=http://127.0.0.1:{self.proxy_port}",
            f"--sim-credentials={self.path('operator.ini')}", "--rate-scale-pct=100000", "--poll-ms=500", "--settle-ms=4000", "--calls-max=48"])
        subprocess.run([*self.cli, "import", self.path("customers.csv"), "--credentials", self.path("keys.ini")], check=True,
                       stdout=subprocess.DEVNULL)
        self.programs.wait("end of all imports", self.finished, 300, 0.5)
        verdicts = {i["external_ref"]: i.get("verdict") for i in self.imports()}
        assert set(verdicts.values()) == {"PROVEN"}, verdicts

    def promises(self):
        names = {i["organization"]["management_account_id"]: i["names"] for i in self.imports()}
        return {account: promise.promised(row, names[account]) for account, row in self.rows.items()}

    def read_at_the_shell(self, account, wanted):
        """With moto checking who asks: what was made, and that what was handed over is dead."""
        look = promise.command_line(self.readers[account], {"iam": self.moto.port, "s3": self.moto.port, "sts": self.moto.port})
        promise.check(look, wanted)
        if account not in self.handed_over:
            return
        same = promise.same
        same("keys left", look("iam", "ListAccessKeys", UserName=self.handed_over[account]["UserName"])["AccessKeyMetadata"], [])
        dead = promise.command_line(self.handed_over[account], {"sts": self.moto.port, "cur": self.proxy_port})
        for service, operation in (("sts", "GetCallerIdentity"), ("cur", "DescribeReportDefinitions")):
            said = str(dead(service, operation))
            assert said.startswith("error") and ("InvalidClientTokenId" in said or "UnrecognizedClient" in said), said
        alive = promise.command_line(self.sim_keys[self.rows[account]["external_ref"]], {"cur": self.sim_port})
        reports = alive("cur", "DescribeReportDefinitions")["ReportDefinitions"]
        same("reports", [r["S3Bucket"] for r in reports if r["ReportName"] == wanted["report"]], [wanted["bucket"]])


def check_all(run, before):
    promises = run.promises()
    shell = [a for a in run.rows if a in run.handed_over][:1] + [a for a in run.rows if a not in run.handed_over][:1]
    if not shutil.which("aws"):
        print("NOT CHECKED: the aws command line is not installed; boto3 reads all the same")
        assert os.environ.get("REQUIRE_MOTO") != "1", "the aws command line is required"
        shell = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda account: run.read_at_the_shell(account, promises[account]), shell))
    run.moto.check_callers(False)
    ids = {promise.check(promise.through_boto3(run.moto, account), wanted) for account, wanted in promises.items()}
    promise.same("external ids, one for each customer", len(ids), len(promises))
    for account, wanted in promises.items():
        found = estate.differences(before[account], estate.picture(run.moto, account))
        promise.same(f"what changed in {account}", sorted(found), sorted(promise.changes(wanted, run.handed_over.get(account, {}).get("UserName"))))
    return shell


def main(programs):
    marks, last = [], time.monotonic()

    def mark(name):
        nonlocal last
        marks.append(f"{name} {time.monotonic() - last:.0f} s")
        last = time.monotonic()

    run = Run(programs)
    run.furnish()
    before = {account: estate.picture(run.moto, account) for account in run.rows}
    run.moto.check_callers(True)
    mark("furnished")
    run.import_all()
    mark("imported")
    dead = run.clouds.refused["moto sts:GetCallerIdentity 403"]
    assert dead >= len(run.handed_over), f"{dead} proofs by moto that a handed-over key is dead, {len(run.handed_over)} keys"
    shell = check_all(run, before)
    mark("read back")
    print(proxy.summary(run.clouds))
    print("answered by awssim although of sts, iam or s3:", *(f"\n  {k}: {v}" for k, v in proxy.NOT_MOTO.items()))
    print("answered by moto, told to awssim too:", *(f"\n  {k}: {v}" for k, v in proxy.BOTH.items()))
    print(f"{len(run.rows)} customers completed and PROVEN, {len(run.handed_over)} by key; roles, policies, buckets as promised and nothing "
          f"else changed, as boto3 sees it; {len(shell)} of them read with the aws command line too ({', '.join(marks)})")


if __name__ == "__main__":
    programs = moto_cloud.Programs()
    try:
        main(programs)
    finally:
        bad = programs.stop()
    if bad:
        sys.exit("\n".join(bad))
