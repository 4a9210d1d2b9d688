"""Rehearsal: a recorded organization, played against a simulated copy, predicts the real run: every write (operation, key,
arguments), the end and its code. Kinds that complete, that are held, that fail late; and, from a request's file before
anything is submitted, kinds that fail early. ORGIMPORT_FULL=1 takes all kinds. Arg 1: folder of the programs."""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile

for folder in ("../lib", "../tools"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), folder))
import verify_bundle  # noqa: E402
from demo_cli import Demo, http  # noqa: E402
from fleet import until  # noqa: E402

BIN = sys.argv[1]
FULL = os.environ.get("ORGIMPORT_FULL") == "1"
WORK = tempfile.mkdtemp(prefix="oi-reh.", dir="/tmp")
STATE = os.path.join(WORK, "s")
demo = Demo(BIN, STATE, 400, TMPDIR=WORK)
run, first_line, ENV = demo.run, demo.first_line, demo.env

# Imports that end (well or not) with a fingerprint taken: rehearsed from it, afterwards.
LATE = ["healthy", "bucket_exists_with_policy", "tax_inheritance", "root_access_keys"]
LATE_MORE = ["role_adoptable", "suspended_accounts", "old_report_stays", "seller_change", "tax_by_hand", "names_close_to_ours", "consolidated_billing", "admin_by_group"]
# Imports that fail before it: rehearsed from the file, before the import. With the code behind the finding.
EARLY = [("role_name_taken", "role.name_taken"), ("bucket_squatted", "bucket.name_taken"), ("bucket_not_ours", "bucket.not_ours")]
EARLY_MORE = [("policy_name_taken", "policy.name_taken"), ("five_reports", "cur.quota"), ("invitations_open", "org.invitations_open"), ("tax_pending", "tax.pending"),
              ("role_quota", "aws.quota"), ("bucket_other_region", "bucket.region"), ("report_namesake", "cur.name_taken"), ("vendor_missing", "vendor.external_id_missing")]


def nested(row):
    """A CSV row of the simulator as a request."""
    request = {}
    for key, value in row.items():
        at, *path = [part for part in key.split(".")][::-1]
        into = request
        for part in path[::-1]:
            into = into.setdefault(part, {})
        into[at] = value
    if "roles" in request:
        request["roles"] = request["roles"].split(";")
    contacts = request.pop("contacts", {})
    request["contacts"] = [dict(contact, role=role) for role, contact in contacts.items()]
    return request


class Fleet:
    def __init__(self):
        self.sim, self.token = first_line("awssim.address"), first_line("token")
        address = first_line("address")
        self.api = address if address.startswith("http") else "http://" + address

    def get(self, path):
        return http("GET", self.api + path, token=self.token)

    def import_of(self, ref):
        return self.get("/v1/imports?external_ref=" + ref)["data"][0]

    def effects(self, world):
        """Our writes in this world and for it in the partner's account, as (operation, resource)."""
        own = [e for e in http("GET", "%s/_sim/effects?account=%s" % (self.sim, world["account"])) if not e["repeat"]]
        return sorted((e["op"], e["resource"]) for e in own)


def predicted_effects(outcome):
    return sorted((e["op"], e["resource"]) for e in outcome["effects"] if not e["op"].startswith("partnercentral:"))


def check_same(fleet, ref, outcome, world, kind):
    whole = fleet.get("/v1/imports/%s/rehearsal" % fleet.import_of(ref)["id"])
    comparison = whole["comparison"]
    assert comparison and comparison["is_same"], "%s: %s" % (kind, json.dumps(comparison, indent=1)[:3000])
    assert comparison["writes"]["same_arguments"] == comparison["writes"]["predicted"], (kind, comparison["writes"])
    assert predicted_effects(outcome) == fleet.effects(world), (kind, predicted_effects(outcome), fleet.effects(world))


def finished_imports_are_predicted(fleet, worlds):
    for world in worlds:
        ref, before = world["external_ref"], http("GET", "%s/_sim/world/%s/digest" % (fleet.sim, world["account"]))["digest"]
        version = fleet.import_of(ref)["version"]
        done = run("rehearse", ref, "--json", codes=(0, 3))
        outcome = json.loads(done.stdout)
        assert done.returncode == (0 if world["expect"]["state"] == "completed" else 3), (world["kind"], done.returncode)
        assert outcome["end"]["state"] == world["expect"]["state"], (world["kind"], outcome["end"])
        assert not outcome["fidelity"]["differ"] and outcome["fidelity"]["recorded"] == outcome["root"], (world["kind"], outcome["fidelity"])
        check_same(fleet, ref, outcome, world, world["kind"])
        after = http("GET", "%s/_sim/world/%s/digest" % (fleet.sim, world["account"]))["digest"]
        now = fleet.import_of(ref)
        is_untouched = now["version"] == version or now["state"] == "held"  # what is held looks again by itself
        assert before == after and is_untouched, "%s: the rehearsal touched the real thing" % world["kind"]
        assert "it came exactly so" in run("show", ref).stdout, world["kind"]
        print("%-26s %s %s, %d writes, as predicted" % (world["kind"], outcome["end"]["state"], outcome["end"]["code"], len(outcome["writes"])))


def bundle_and_page_show_both(fleet, ref):
    """The prediction beside reality, signed; reality is counted again by both readers."""
    bundle, page, key = os.path.join(WORK, "b.json"), os.path.join(WORK, "b.html"), json.loads(run("keys", "--output", "json").stdout)["signing"]["public_key"]
    run("evidence", ref, "--out", bundle, "--html", page)
    run("verify", bundle, "--key", key)
    with open(bundle, "rb") as file:
        raw = file.read()
    assert verify_bundle.check(raw, key) == "PROVEN"
    payload, whole = json.loads(raw)["payload"], fleet.get("/v1/imports/%s/rehearsal" % fleet.import_of(ref)["id"])
    both = payload["rehearsal"]
    for which in ("predicted", "real"):
        told = whole[which]
        assert both[which]["reads"] == told["calls"]["reads"] and len(both[which]["writes"]) == len(told["writes"]), (which, both[which])
        assert both[which]["failures"] == told["failures"] and both[which]["end"]["verdict"] == told["end"]["verdict"] == "PROVEN", (which, both[which])
    assert both["predicted"]["ms"] == whole["predicted"]["critical_path_ms"] and both["predicted"]["writes"] == both["real"]["writes"]
    for member, value in (("reads", 1), ("writes", []), ("failures", 99), ("ms", 1), ("end", {"state": "completed", "verdict": "?"})):
        bad = copy.deepcopy(payload)
        bad["rehearsal"]["real"][member] = value
        try:
            verify_bundle.check_rehearsal(bad)
            raise SystemExit("not found: %s" % member)
        except AssertionError:
            pass
    with open(page, encoding="utf-8") as file:
        text = file.read()
    assert "Every write that was foretold was made, and no other." in text and "No rehearsal was made" not in text
    for number in (both["predicted"]["reads"], both["real"]["reads"]):
        assert "<td>%d</td>" % number in text, number
    if os.environ.get("KEEP_PAGE"):
        shutil.copy(page, os.environ["KEEP_PAGE"])


def failures_are_predicted_before(fleet, kinds):
    for index, (kind, code) in enumerate(kinds):
        world = http("POST", fleet.sim + "/_sim/world", {"kind": kind, "seed": 40 + index})
        row = dict(world["row"])
        row["external_ref"] = ref = "early-%s" % kind.replace("_", "-")
        request, file, keys = nested(row), os.path.join(WORK, kind + ".json"), os.path.join(WORK, kind + ".ini")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(request, out)
        flags = []
        if world.get("access_key_id"):
            with open(os.open(keys, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
                out.write("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n" % (ref, world["access_key_id"], world["secret_access_key"]))
            flags = ["--credentials", keys]
        told = run("rehearse", file, *flags, codes=(3,)).stdout
        assert "failed at preflight with preflight.findings" in told and code in told, (kind, told[-1500:])
        assert not fleet.effects(world), (kind, "the record wrote something")
        run("import", file, *flags)
        until(lambda r=ref: fleet.import_of(r)["state"] == "failed", 60)
        predicted = fleet.get("/v1/imports/%s/rehearsal" % fleet.import_of(ref)["id"])
        assert code in predicted["predicted"]["end"]["findings"], (kind, predicted["predicted"]["end"])
        check_same(fleet, ref, predicted["predicted"], world, kind)
        print("%-26s failed with %s, predicted before anything was submitted" % (kind, code))


def without_a_fingerprint_it_says_so(fleet, ref):
    told = run("rehearse", ref, codes=(1,)).stderr
    assert "state.conflict" in told and "file" in told, told


def main():
    kinds = LATE + (LATE_MORE if FULL else [])
    run("demo", "--orgs", str(len(kinds)), "--kinds", ",".join(kinds), "--seed", "21", "--keep", "--no-second-run", "--timeout-s", "240")
    fleet = Fleet()
    worlds = [w for w in http("GET", fleet.sim + "/_sim/worlds") if w.get("external_ref")]
    finished_imports_are_predicted(fleet, worlds)
    bundle_and_page_show_both(fleet, next(w["external_ref"] for w in worlds if w["kind"] == "healthy"))
    early = EARLY + (EARLY_MORE if FULL else [])
    failures_are_predicted_before(fleet, early)
    without_a_fingerprint_it_says_so(fleet, "early-" + early[0][0].replace("_", "-"))
    left = [name for name in os.listdir(WORK) if name.startswith("orgimport-rehearsal")]
    assert not left, "rehearsals left %s" % left
    audit = http("POST", fleet.api + "/v1/audit", {}, fleet.token)
    assert not audit["faults"], audit
    print("rehearsals: as predicted")


try:
    main()
finally:
    subprocess.run([os.path.join(BIN, "orgimport"), "local", "stop"], env=ENV, capture_output=True, timeout=120)
    shutil.rmtree(WORK, ignore_errors=True)
