"""Drift: a finished import is looked at again. Each kind of change on each kind of our things is named, nothing else is;
what the roles may not see is said; a second fleet process does not look twice; old looks are deleted, whole. Arg 1: folder of the programs.

One demo is left up; every case saves the simulated organization, changes one thing, looks, and puts it back."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from demo_cli import Demo, http  # noqa: E402
from fleet import until  # noqa: E402

BIN = sys.argv[1]
WORK = tempfile.mkdtemp(prefix="oi-drift.", dir="/tmp")
STATE = os.path.join(WORK, "s")
demo = Demo(BIN, STATE, 300)
run, first_line, DEMO, ENV = demo.run, demo.first_line, demo.dir, demo.env
started = []


def look(ref, *flags):
    done = run("drift", ref, "--json", *flags, codes=(0, 4))
    found = json.loads(done.stdout)
    assert done.returncode == (4 if found["found"] else 0), (done.returncode, found["found"])
    return found


def found_of(result):
    return {(i["resource"], i["what"], i["status"]) for i in result["items"] if i["status"] in ("changed", "gone")}


class Customer:
    def __init__(self, sim, world):
        self.url = "%s/_sim/world/%s" % (sim, world["account"])
        self.ref, self.account, self.id = world["external_ref"], world["account"], world["row"].get("id")
        self.names = None

    def post(self, verb, body=None):
        return http("POST", self.url + "/" + verb, body or {})

    def act(self, what, **args):
        self.post("act", {"what": what, "args": args})


# act, its arguments, and what must be named, and nothing beside: (resource, what, status); {b} bucket and report, {a} account
CASES = [
    ("foreign.change_trust", {"role": "AWSAdmin"}, {("role AWSAdmin", "trust", "changed"), ("role AWSAdmin", "lets us in with the external id", "changed")}),
    ("foreign.add_tag", {"role": "doitintl_cmp"}, {("role doitintl_cmp", "tags", "changed")}),
    ("drift.role_untag", {}, {("role doitintl_cmp", "tags", "changed")}),
    ("drift.role_settings", {}, {("role doitintl_cmp", "session length", "changed"), ("role doitintl_cmp", "description", "changed")}),
    ("foreign.attach_policy", {"role": "doitintl_cmp"}, {("role doitintl_cmp", "attached policies", "changed")}),
    ("drift.role_detach", {"role": "AWSAdmin"}, {("role AWSAdmin", "attached policies", "changed")}),
    ("drift.role_inline", {}, {("role doitintl_cmp", "inline policies", "changed")}),
    ("drift.role_again", {}, {("role doitintl_cmp", "identity", "changed")}),
    ("foreign.delete_role", {"role": "AWSAdmin"}, {("role AWSAdmin", "role", "gone"), ("role AWSAdmin", "lets us in with the external id", "changed")}),
    ("drift.policy_version", {}, {("policy doitintl_cmp", "document", "changed")}),
    ("drift.policy_gone", {"policy": "AWSAdmin"}, {("policy AWSAdmin", "policy", "gone")}),
    ("drift.bucket_setting", {"setting": "tags"}, {("bucket {b}", "our tag", "gone")}),
    ("drift.bucket_setting", {"setting": "public_access_block"}, {("bucket {b}", "public access block", "changed")}),
    ("drift.bucket_setting", {"setting": "ownership"}, {("bucket {b}", "object ownership", "gone")}),
    ("drift.bucket_setting", {"setting": "encryption"}, {("bucket {b}", "encryption", "gone")}),
    ("drift.bucket_setting", {"setting": "policy"}, {("bucket {b}", "statement CostReportLook", "gone"), ("bucket {b}", "statement CostReportDeliver", "gone")}),
    ("foreign.bucket_statement", {}, set()),  # somebody else's statement beside ours takes nothing from us
    ("drift.bucket_gone", {}, {("bucket {b}", "bucket", "gone")}),
    ("drift.report_definition", {}, {("report {b}", "definition", "changed")}),
    ("drift.report_gone", {}, {("report {b}", "report", "gone")}),
    ("drift.tax_gone", {}, {("tax", "registration of {a}", "changed")}),
    ("foreign.tax_inheritance", {}, {("tax", "inheritance", "changed")}),
    ("customer.root_email", {"email": "back@customer.example"}, {("root user", "email", "changed")}),
    ("customer.root_mfa_off", {}, {("root user", "second factor", "changed"), ("root user", "devices", "changed")}),
    ("drift.root_key", {}, {("root user", "access keys", "changed")}),
    ("foreign.trusted_service", {"principal": "config.amazonaws.com"}, {("trusted services", "config.amazonaws.com", "changed")}),
    ("foreign.create_user", {}, set()),  # nothing of ours
    ("foreign.new_bucket", {}, set()),
]


def every_change_is_named(c, bucket):
    """Through the roles and the access handed over again, so that everything can be seen."""
    clean = look(c.ref, "--ask-access")
    assert clean["found"] == 0 and not found_of(clean), clean
    hidden = {i["resource"] for i in clean["items"] if i["status"] == "not_visible"}
    assert hidden == {"payment method", "organization", "root user"}, hidden
    for what, args, wanted in CASES:
        c.post("save")
        c.act(what, **args)
        result = look(c.ref, "--ask-access")
        named = {tuple(part.replace("{b}", bucket).replace("{a}", c.account) for part in one) for one in wanted}
        assert found_of(result) == named, "%s: %s, not %s" % (what, found_of(result), named)
        changed = [i for i in result["items"] if i["status"] == "changed"]
        assert all("from" in i and "to" in i for i in changed), changed
        c.post("restore")
    assert look(c.ref, "--ask-access")["found"] == 0
    print("%d changes named, each alone" % len(CASES))


def roles_see_what_they_may(c):
    clean = look(c.ref)
    lacks = {i["what"]: i["lacks"] for i in clean["items"] if i["status"] == "not_visible" and "lacks" in i}
    assert clean["found"] == 0 and lacks["second factor"] == "iam:GetAccountSummary" and lacks["encryption"] == "s3:GetEncryptionConfiguration", lacks
    assert clean["through"] == ["doitintl_cmp", "AWSAdmin"], clean["through"]
    c.post("save")
    c.act("foreign.change_trust", role="doitintl_cmp")
    one = look(c.ref)
    assert one["through"] == ["AWSAdmin"] and ("role doitintl_cmp", "lets us in with the external id", "changed") in found_of(one), one
    assert {i["resource"] for i in one["items"] if i["status"] == "same"} >= {"tax", "organization"}, one  # AWSAdmin sees these
    c.act("foreign.delete_role", role="AWSAdmin")
    none = run("drift", c.ref, codes=(1,))
    assert "drift.no_access" in none.stderr and "--ask-access" in none.stderr, none.stderr
    shown = run("show", c.ref).stdout
    assert "drift.no_access" in shown, shown[-400:]
    c.post("restore")
    assert look(c.ref)["found"] == 0, "a look that failed stands in the way of the next"


def partner_is_seen_by_the_operator(c, relationship_of):
    c.act("drift.relationship_gone")
    assert found_of(look(c.ref)) == {("partner program", "relationship", "gone")}
    relationship_of.act("aws.partner_program")


def nothing_is_written(c, sim):
    effects = [e for e in http("GET", "%s/_sim/effects?account=%s" % (sim, c.account)) if e.get("op", "").count(":") == 1 and not e["op"].startswith("act:")]
    before = len(effects)
    look(c.ref)
    look(c.ref, "--ask-access")
    after = [e for e in http("GET", "%s/_sim/effects?account=%s" % (sim, c.account)) if e.get("op", "").count(":") == 1 and not e["op"].startswith("act:")]
    assert len(after) == before, after[before:]


def not_before_it_is_finished(api, token, failed):
    try:
        http("POST", "%s/v1/imports/%s:drift" % (api, failed["id"]), {}, token)
        raise AssertionError("a look at an import that is not finished was taken")
    except urllib.error.HTTPError as error:
        assert error.code == 409 and json.load(error)["code"] == "state.conflict"


def events_say_so(api, token, c, imports):
    """drift.found once for one difference, drift.cleared when it is over."""
    request = urllib.request.Request("%s/v1/events?import_id=%s&last_event_id=0-0" % (api, imports[c.ref]))
    request.add_header("Authorization", "Bearer " + token)
    c.post("save")
    c.act("customer.root_email", email="elsewhere@customer.example")
    look(c.ref)
    look(c.ref)
    c.post("restore")
    look(c.ref)
    seen = []
    with urllib.request.urlopen(request, timeout=30) as stream:
        for raw in stream:
            line = raw.decode().strip()
            if line.startswith("data: ") and json.loads(line[6:])["type"].startswith("drift."):
                seen.append(json.loads(line[6:]))
            if seen and seen[-1]["type"] == "drift.cleared" and seen[-1]["drift_id"] == last_look(api, token, imports[c.ref])["id"]:
                break
    tail = [e["type"] for e in seen][-2:]
    assert tail == ["drift.found", "drift.cleared"], seen
    assert seen[-1]["import_id"] == imports[c.ref] and seen[-1]["external_ref"] == c.ref


def looks_of(api, token, import_id):
    return http("GET", "%s/v1/imports/%s/drift?limit=50" % (api, import_id), token=token)["data"]


def last_look(api, token, import_id):
    return looks_of(api, token, import_id)[0]


def scheduled_looks_come_once(api, token, imports):
    """Two dispatchers, every 7.2 s: each import gets one look per period, whoever starts it."""
    second = subprocess.Popen([os.path.join(BIN, "orgimport-dispatcher"), "--redis=unix://%s/redis.sock" % DEMO, "--mode=sim", "--listen=127.0.0.1:0",
                               "--token-file=%s/token" % DEMO, "--keys=%s/keys" % DEMO], stdout=subprocess.DEVNULL, stderr=open(os.path.join(WORK, "second.log"), "wb"))
    started.append(second)
    assert not any(look["asked_by"] == "schedule" for i in imports.values() for look in looks_of(api, token, i)), "off by default"
    profile = http("GET", api + "/v1/profiles/doit", token=token)
    profile.update(version=profile["version"] + 1, drift={"every_hours": 0.002})
    http("PUT", api + "/v1/profiles/doit", profile, token)

    def by_schedule(import_id):
        return [look for look in looks_of(api, token, import_id) if look["asked_by"] == "schedule"]

    until(lambda: all(len(by_schedule(i)) >= 3 for i in imports.values()), 60)
    profile.update(version=profile["version"] + 1, drift=None)
    http("PUT", api + "/v1/profiles/doit", profile, token)
    for import_id in imports.values():
        looks = until(lambda i=import_id: [x for x in by_schedule(i)] if all(x["state"] == "completed" for x in by_schedule(i)) else None, 30)
        times = sorted(x["started_at"] for x in looks)
        seconds = [int(t[-3:-1]) + 60 * int(t[-6:-4]) for t in times]
        gaps = [(b - a) % 3600 for a, b in zip(seconds, seconds[1:])]
        assert all(gap >= 5 for gap in gaps), "two looks for one due time: %s" % times
    until(lambda: http("GET", api + "/v1/profiles/doit", token=token)["version"] == profile["version"], 30)
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    log = open(os.path.join(WORK, "second.log"), encoding="utf-8").read()
    assert "Sanitizer" not in log, log[-2000:]


def traces(ids):
    """Keys, fields and members that name one of these runs."""
    cli = lambda *words: subprocess.run(["redis-cli", "-s", DEMO + "/redis.sock", *words], capture_output=True, text=True, check=True).stdout.split("\n")  # noqa: E731
    names = cli("KEYS", "*") + cli("HKEYS", "f:{0}:h")
    for key in cli("KEYS", "f:*"):
        names += cli("ZRANGE", key, "0", "-1") if cli("TYPE", key)[0] == "zset" else []
    return sorted(name for name in names if any(one in name for one in ids))


def old_looks_are_deleted(api, token, c, imports):
    """The last two stay, whatever their age, and the newest one that found something; everything else goes, and nothing of it is left."""
    import_id = imports[c.ref]
    profile = http("GET", api + "/v1/profiles/doit", token=token)
    kept = {"keep_last": 2, "keep_days": 0}
    for bad in ({"keep_last": 0}, {"keep_days": -1}, {"keep_last": 1.5}):
        try:
            http("PUT", api + "/v1/profiles/doit", dict(profile, version=profile["version"] + 1, drift=bad), token)
            raise AssertionError("taken: %s" % bad)
        except urllib.error.HTTPError as error:
            assert error.code == 422, (bad, error.code)
    for _ in range(12):
        assert look(c.ref)["found"] == 0
    c.post("save")
    c.act("customer.root_email", email="elsewhere@customer.example")
    look(c.ref)
    found = look(c.ref)
    c.post("restore")
    assert found["found"] > 0
    before = [one["id"] for one in looks_of(api, token, import_id)]
    assert len(before) > 12 and found["id"] == before[0], len(before)
    profile.update(version=profile["version"] + 1, drift=kept)
    http("PUT", api + "/v1/profiles/doit", profile, token)
    until(lambda: http("GET", api + "/v1/profiles/doit", token=token)["version"] == profile["version"], 30)
    every = set(before)
    for _ in range(40):  # a few go with each new look
        every.add(look(c.ref)["id"])
        if len(looks_of(api, token, import_id)) <= 3:
            break
    last = [one["id"] for one in (look(c.ref), look(c.ref)) if one["found"] == 0]
    stay, left = [last[1], last[0], found["id"]], []

    def swept():
        left[:] = [one["id"] for one in looks_of(api, token, import_id)]
        return left == stay
    try:
        until(swept, 30)
    except AssertionError:
        raise AssertionError("left are %s, not %s" % (left, stay)) from None
    gone = (every | set(last)) - set(left)
    assert len(gone) > 12 and until(lambda: traces(gone) == [], 30), traces(gone)
    assert traces([found["id"]]) and http("GET", "%s/v1/imports/%s" % (api, import_id), token=token)["state"] == "completed"
    print("%d looks deleted, 3 kept" % len(gone))


def main():
    run("demo", "--orgs", "4", "--kinds", "healthy", "--seed", "11", "--keep", "--no-second-run", "--timeout-s", "240")
    sim, token = first_line("awssim.address"), first_line("token")
    api = first_line("address")
    api = api if api.startswith("http") else "http://" + api
    worlds = [w for w in http("GET", sim + "/_sim/worlds") if w.get("external_ref")]
    imports = {i["external_ref"]: i["id"] for i in http("GET", api + "/v1/imports", token=token)["data"]}
    by_role = [Customer(sim, w) for w in worlds if w["access"] == "role"]
    c = by_role[0]
    names = http("GET", "%s/v1/imports/%s" % (api, imports[c.ref]), token=token)["names"]
    roles_see_what_they_may(c)
    every_change_is_named(c, names["bucket"])
    nothing_is_written(c, sim)
    events_say_so(api, token, c, imports)
    partner_is_seen_by_the_operator(c, c)
    listed = http("GET", api + "/v1/imports?limit=500", token=token)["data"]
    assert {i["external_ref"] for i in listed} == {w["external_ref"] for w in worlds} and len(listed) == len(worlds), "looks are listed as imports"
    scheduled_looks_come_once(api, token, imports)
    old_looks_are_deleted(api, token, Customer(sim, next(w for w in worlds if w["external_ref"] != c.ref)), imports)
    audit = http("POST", api + "/v1/audit", {}, token)
    assert not audit["faults"], audit
    print("drift: all named; scheduled looks came once")


try:
    main()
finally:
    for process in started:
        if process.poll() is None:
            process.kill()
    subprocess.run([os.path.join(BIN, "orgimport"), "local", "stop"], env=ENV, capture_output=True, timeout=120)
    for name in ("worker-1.log", "dispatcher.log"):
        path = os.path.join(DEMO, name)
        if sys.exc_info()[0] and os.path.exists(path):
            print("---", name, "\n", open(path, encoding="utf-8", errors="replace").read()[-2500:])
    shutil.rmtree(WORK, ignore_errors=True)
