"""Snapshots as their users take them: alone, with a read-only identity, compared with what an import recorded; every section
changed once and told in words; sections that move while they are read; a worker killed in the middle of a big walk.
Arg 1: folder of the programs. Further args: only these tests."""
import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402


def cli(world, *words, code=0):
    # No AWS variable and no profile of whoever runs the tests comes near this (P11).
    env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run([os.path.join(world.fleet.bin, "orgimport"), "snapshot", *words], capture_output=True, text=True, check=False,
                          timeout=300, env=dict(env, HOME=world.fleet.dir))
    assert done.returncode == code, (words, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def accounts_of(world):
    with open(world.customers, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Who hands over a role makes it first: their organization is not the one of before any more. Keys change nothing.
    rows.sort(key=lambda row: row["access.method"] == "role")
    assert rows[0]["access.method"] != "role", "this seed makes no customer with a key"
    return [row["organization.management_account_id"] for row in rows]


def auditor(world, account, leave_out=()):
    """A user that may do what `snapshot policy` prints and nothing else; its section in a credentials file."""
    policy = json.loads(cli(world, "policy").stdout)
    actions = policy["Statement"][0]["Action"]
    assert all(re.match(r"^[a-z0-9-]+:(Get|List|Describe)", action) for action in actions), actions
    policy["Statement"][0]["Action"] = [action for action in actions if action not in leave_out]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # a key id holds its account's number
    key = "AKIA" + "".join(letters[int(account) >> (35 - 5 * i) & 31] for i in range(8)) + "AUDITAUD"
    world.act(account, "foreign.edit", path=["iam", "users", "auditor"], value={
        "Path": "/", "UserName": "auditor", "UserId": "AIDAAUDITOR", "Arn": "arn:aws:iam::%s:user/auditor" % account,
        "CreateDate": "2026-01-02T03:04:05Z", "Tags": [], "login_profile": False, "groups": [], "attached": [],
        "inline": {"read": json.dumps(policy)}, "mfa_devices": [],
        "access_keys": {key: {"secret": "audit-secret-of-the-test", "Status": "Active", "CreateDate": "2026-01-02T03:04:05Z"}}})
    path = os.path.join(world.fleet.dir, "auditor.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[customer]\naws_access_key_id = %s\naws_secret_access_key = audit-secret-of-the-test\n" % key)
    os.chmod(path, 0o600)
    return path


def take(world, keys, name, *flags, code=0, endpoint=None, rate=100000):
    out = os.path.join(world.fleet.dir, name)
    done = cli(world, "take", "--out", out, "--sim", endpoint or world.endpoint, "--sim-credentials", keys, "--rate-scale-pct", str(rate), *flags,
               code=code)
    return done if code else json.load(open(out, encoding="utf-8"))


def path_of(world, name):
    return os.path.join(world.fleet.dir, name)


@with_world(3)
def a_customer_finds_the_root_that_the_import_recorded(world):
    account = accounts_of(world)[0]
    keys = auditor(world, account)
    mine = take(world, keys, "mine.json")
    assert mine["account_id"] == account and mine["fingerprint"]["unstable"] == [], mine["fingerprint"]["unstable"]
    world.worker()
    world.submit()
    world.wait_completed(3)
    found = [one for one in world.imports() if one["organization"]["management_account_id"] == account]
    steps = world.dispatcher.get("/v1/imports/%s?expand=results" % found[0]["id"]).json["steps"]
    before = [step for step in steps if step["name"] == "fingerprint_before"][0]["result"]
    with open(path_of(world, "theirs.json"), "w", encoding="utf-8") as file:
        json.dump(before, file)
    assert before["root"] == mine["root"], cli(world, "diff", path_of(world, "mine.json"), path_of(world, "theirs.json"), "--explain", code=4).stdout
    assert "equal" in cli(world, "diff", path_of(world, "mine.json"), path_of(world, "theirs.json"), "--explain").stdout
    # What the import made is what differs afterwards, and it is told.
    take(world, keys, "after.json")
    told = cli(world, "diff", path_of(world, "mine.json"), path_of(world, "after.json"), "--explain", code=4).stdout
    assert "doitintl_cmp was made" in told and "Cost and usage reports" in told and "root's address" in told or "it was" in told, told
    assert world.end(1) == 0


@with_world(1, seed=2)
def reads_only_and_closed_endpoints(world):
    account = accounts_of(world)[0]
    keys = auditor(world, account, leave_out=("organizations:ListAccounts",))
    said = take(world, keys, "none.json", code=1).stderr
    assert "organizations:ListAccounts" in said and "aws.denied" in said, said
    keys = auditor(world, account)
    effects = len(world.effects())
    take(world, keys, "a.json")
    assert len(world.effects()) == effects  # nothing was changed
    # One endpoint left out: a typed refusal, not a call to the real AWS.
    host = world.endpoint
    services = "organizations,iam,sts,s3,cur,taxsettings,account,sso,backup,fms,ram,cloudformation,bcm-data-exports".split(",")
    listed = ",".join("%s=%s" % (one, host) for one in services)
    said = take(world, keys, "b.json", code=1, endpoint=listed).stderr
    assert "endpoint" in said and "cloudtrail" in said, said
    assert "--sim" in cli(world, "take", "--sim-credentials", keys, code=2).stderr
    # A member account is no management account; a file that was changed is found.
    document = json.load(open(path_of(world, "a.json"), encoding="utf-8"))
    document["fingerprint"]["sections"]["organization"]["feature_set"] = "CONSOLIDATED_BILLING"
    json.dump(document, open(path_of(world, "forged.json"), "w", encoding="utf-8"))
    assert "it was changed" in cli(world, "diff", path_of(world, "a.json"), path_of(world, "forged.json"), code=6).stderr
    # One section shown to somebody who shall not see the others.
    shown = cli(world, "prove", path_of(world, "a.json"), "trusted_services").stdout
    with open(path_of(world, "shown.json"), "w", encoding="utf-8") as file:
        file.write(shown)
    assert "payer" not in shown and "iam.roles" not in shown
    cli(world, "check", path_of(world, "shown.json"), "--root", document["root"])
    cli(world, "check", path_of(world, "shown.json"), "--root", "0" * 64, code=6)


def first(mapping):
    return sorted(mapping)[0]


def changes(state, account):
    """One change for each section: (section, acts, what --explain must say)."""
    member = [one for one in state["accounts"] if one != account][0]
    role = first(state["iam"]["roles"])
    edit = lambda path, value: ("foreign.edit", {"path": path, "value": value})  # noqa: E731
    export = "arn:aws:bcm-data-exports:us-east-1:%s:export/focus" % account
    trail = "arn:aws:cloudtrail:us-east-1:%s:trail/edited" % account
    return [
        ("organization", [edit(["organization", "FeatureSet"], "CONSOLIDATED_BILLING")], 'was "ALL", is "CONSOLIDATED_BILLING"'),
        ("accounts", [edit(["accounts", member, "Name"], "renamed")], '(renamed) was changed'),
        ("tree", [("foreign.move_account", {"account": member})], "place was "),
        ("policies", [("foreign.new_scp", {})], "policy p-foreign"),
        ("trusted_services", [("foreign.trusted_service", {})], "was trusted"),
        ("delegation", [edit(["delegated", member], {"DelegationEnabledDate": 1, "services": [{"ServicePrincipal": "config.amazonaws.com"}]})],
         "became a delegated administrator"),
        ("handshakes", [("foreign.invite", {})], "was opened"),
        ("transfers", [edit(["transfers", "outbound"], [{"Id": "rt-1", "Arn": "arn:aws:organizations::1:transfer/o/billing/rt-1", "Type": "BILLING",
                                                         "Status": "REQUESTED"}])], "transfer arn:aws:organizations::1:transfer"),
        ("features", [edit(["features", "stacksets"], "DISABLED_PERMANENTLY")], 'is "DISABLED_PERMANENTLY"'),
        ("iam.account", [edit(["iam", "organizations_features"], ["RootSessions"])], 'enabled features: now also "RootSessions"'),
        ("iam.users", [("foreign.create_user", {})], "was made"),
        ("iam.groups", [edit(["iam", "groups", "Edited"], {"Path": "/", "GroupName": "Edited", "GroupId": "AGPAEDITED", "Arn": "arn:aws:iam::%s:group/Edited"
                                                           % account, "CreateDate": "2026-01-02T03:04:05Z", "attached": [], "inline": {}})],
         "group Edited was made"),
        ("iam.roles", [edit(["iam", "roles", role, "MaxSessionDuration"], 7200)], "longest session in seconds was 3600, is 7200"),
        ("iam.policies", [edit(["iam", "policies", "Edited"], {
            "PolicyName": "Edited", "PolicyId": "ANPAEDITED", "Arn": "arn:aws:iam::%s:policy/Edited" % account, "Path": "/",
            "CreateDate": "2026-01-02T03:04:05Z", "UpdateDate": "2026-01-02T03:04:05Z", "Tags": [], "DefaultVersionId": "v1", "next_version": 2,
            "versions": {"v1": {"document": '{"Version":"2012-10-17","Statement":[]}', "CreateDate": "2026-01-02T03:04:05Z"}}})],
         "policy/Edited was made"),
        ("s3", [("foreign.new_bucket", {})], "was made"),
        ("cur", [edit(["cur", "reports", "edited"], {"ReportName": "edited", "TimeUnit": "DAILY", "Format": "textORcsv", "Compression": "GZIP",
                                                     "AdditionalSchemaElements": [], "S3Bucket": "b", "S3Prefix": "p", "S3Region": "us-east-1"})],
         "report edited was defined"),
        ("exports", [edit(["exports", export], {"Export": {"ExportArn": export, "Name": "focus"}, "ExportStatus": {"StatusCode": "HEALTHY"}})],
         "export %s" % export),
        ("tax", [("foreign.tax_inheritance", {})], "tax setting of inheritance was changed"),
        ("contact", [("foreign.contact", {})], "contact "),
        ("trails", [edit(["trails", "edited"], {"trail": {"Name": "edited", "TrailARN": trail, "HomeRegion": "us-east-1", "IsMultiRegionTrail": True},
                                                "logging": True})], "trail %s was made" % trail),
    ]


@with_world(1, kinds="large", accounts_max=30, seed=2)
def one_change_in_every_section_is_told_in_words(world):
    account = accounts_of(world)[0]
    keys = auditor(world, account)
    take(world, keys, "a.json")
    sections = json.load(open(path_of(world, "a.json"), encoding="utf-8"))["fingerprint"]["sections"]
    state = world.sim_ask("world/" + account)["state"]
    todo = changes(state, account)
    assert sorted(one[0] for one in todo) == sorted(sections), set(sections) ^ {one[0] for one in todo}
    old = "a.json"
    for number, (section, acts, words) in enumerate(todo):
        for what, args in acts:
            world.act(account, what, **args)
        new = "b%d.json" % number
        take(world, keys, new)
        differences = json.loads(cli(world, "diff", path_of(world, old), path_of(world, new), "--json", code=4).stdout)
        assert section in {one["section"] for one in differences}, (section, differences)
        told = cli(world, "diff", path_of(world, old), path_of(world, new), "--explain", code=4).stdout
        assert words in told, (section, words, told)
        # And back: a difference is one both ways.
        cli(world, "diff", path_of(world, new), path_of(world, old), code=4)
        old = new
    # A trail that stops recording is the same trail with one word changed.
    world.act(account, "foreign.edit", path=["trails", "edited", "logging"], value=False)
    take(world, keys, "stopped.json")
    told = cli(world, "diff", path_of(world, old), path_of(world, "stopped.json"), "--explain", code=4).stdout
    assert "recording was yes, is no" in told, told


class Mover:
    """Another bucket again and again, until it is told to stop or `times` are done."""

    def __init__(self, world, account, times=None):
        self.world, self.account, self.times, self.ends = world, account, times, threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        count = 0
        while not self.ends.wait(0.005) and (self.times is None or count < self.times):
            name = "moving-%d" % count
            self.world.act(self.account, "foreign.edit", path=["s3", "buckets", name],
                           value={"Name": name, "CreationDate": "2026-01-02T03:04:05Z", "region": "us-east-1", "acl": "private", "objects": {}})
            count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join(30)


@with_world(1, latency_ms=15, seed=2)
def only_what_moves_is_read_again_and_at_last_named(world):
    account = accounts_of(world)[0]
    keys = auditor(world, account)
    calm = take(world, keys, "calm.json")["calls"]["sections"]
    with Mover(world, account):
        moved = take(world, keys, "moving.json")
    assert [one["section"] for one in moved["fingerprint"]["unstable"]] == ["s3"], moved["fingerprint"]["unstable"]
    digests = moved["fingerprint"]["unstable"][0]["digests"]
    assert len(digests) == 2 and digests[0] != digests[1]
    calls = moved["calls"]["sections"]
    assert calls["s3"]["calls"] == 5, calls["s3"]  # five tries, no more
    assert all(calls[name]["calls"] == calm[name]["calls"] for name in calm if name != "s3"), (calm, calls)
    settled = take(world, keys, "settled.json")
    assert settled["fingerprint"]["unstable"] == []


def ledger_of(world, import_id, step):
    lines, after = [], ""
    while True:
        page = world.dispatcher.get("/v1/imports/%s/ledger?limit=100%s" % (import_id, after)).json
        lines += [line for line in page["data"] if line.get("step") == step]
        if not page.get("next_cursor"):
            return lines
        after = "&cursor=" + page["next_cursor"]


@with_world(1, kinds="large", accounts_max=700, latency_ms=2, seed=2)
def a_killed_worker_leaves_its_finished_sections_behind(world):
    account = accounts_of(world)[0]
    keys = auditor(world, account)
    whole = take(world, keys, "whole.json")
    blobs = lambda: world.fleet.cli("--scan", "--pattern", "f:{*}:b:*").split()  # noqa: E731
    first_worker = world.worker(rate=700)
    world.submit()
    # Chunks of the first pass are stored and will expire by themselves; then the worker dies in the second.
    until(lambda: len(blobs()) >= 8, PATIENCE)
    assert all(int(world.fleet.cli("PTTL", one)) > 0 for one in blobs())
    world.workers[first_worker - 1].send_signal(signal.SIGKILL)
    world.workers[first_worker - 1].wait(20)
    only = world.imports()[0]["id"]
    step = lambda: [one for one in world.dispatcher.get("/v1/imports/%s?expand=results" % only).json["steps"]  # noqa: E731
                    if one["name"] == "fingerprint_before"][0]
    assert step()["state"] != "DONE"
    world.worker()
    until(lambda: step()["state"] == "DONE", PATIENCE)
    assert step()["result"]["root"] == whole["root"]
    reads = [line["result"] for line in ledger_of(world, only, "fingerprint_before") if line["kind"] == "reads"][-1]
    count = {one["op"]: one["count"] for one in reads}
    kept, asked = count.pop("runtime:kept"), sum(count.values())
    print("whole walk: %d answers; after the kill: %d chunks taken over, %d questions asked: %s" % (whole["calls"]["calls"], kept, asked, count))
    assert kept >= 6, count
    assert asked < sum(row["calls"] for row in whole["calls"]["sections"].values()) * 2 // 3, count
    assert "runtime:keep" not in count


if __name__ == "__main__":
    tests = [a_customer_finds_the_root_that_the_import_recorded, reads_only_and_closed_endpoints,
             one_change_in_every_section_is_told_in_words, only_what_moves_is_read_again_and_at_last_named,
             a_killed_worker_leaves_its_finished_sections_behind]
    run([test for test in tests if test.__name__ in sys.argv[2:] or len(sys.argv) == 2], sys.argv[1])
