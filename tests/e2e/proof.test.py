"""The proof against the worlds' own truth: organizations of every kind under heavy faults, while in a third of them somebody
else changes things, seen by CloudTrail, late, or not at all. No PROVEN where something changed, no DISRUPTED where we broke
nothing; the same customers again without a write; and everything back by undo. Arg 1: folder of the programs.
Takes minutes: only with ORGIMPORT_FULL=1 (300 organizations) or ORGIMPORT_PROOF_ORGS=N."""
import collections
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, skip, until  # noqa: E402
from sim_world import World  # noqa: E402

ORGS = int(os.environ.get("ORGIMPORT_PROOF_ORGS") or (300 if os.environ.get("ORGIMPORT_FULL") else 0))
PATIENCE = 300 + 8 * ORGS
# What somebody else does to things that are not ours, and where it must still be at the end.
ACTS = [
    ("foreign.create_user", {}, lambda s: s["iam"]["users"]),
    ("foreign.create_role", {}, lambda s: s["iam"]["roles"]),
    ("foreign.new_scp", {}, lambda s: s.get("policies", {})),
    ("foreign.trusted_service", {}, lambda s: s.get("trusted_services", [])),
    ("foreign.contact", {}, lambda s: s.get("contact", s.get("contacts", {}))),
    ("foreign.new_bucket", {}, lambda s: s["s3"]["buckets"]),
    ("foreign.add_tag", {}, lambda s: s["iam"]["roles"]),
]
TRAILS = [("seen", {}), ("unseen", {"trail": "none"}), ("late", {"late_ms": 900}), ("seen", {})]


class Proof(World):
    def state_of(self, account):
        return self.sim_ask("world/" + account)["state"]

    def view(self, one):
        return self.dispatcher.get("/v1/imports/" + one).json

    def settled(self, ids, seconds=PATIENCE):
        """Until nothing of `ids` moves any more; gives those whose undo asks an operator about what nobody explains."""
        def look():
            now = {one["id"]: one for one in self.imports()}
            return all(one in now and (now[one]["state"] not in MOVING or is_asked(now[one])) for one in ids)
        try:
            until(look, seconds, 0.3)
        except AssertionError:
            now = [one for one in self.imports() if one["id"] in ids and one["state"] in MOVING]
            raise AssertionError("still moving: %s" % [(one["external_ref"], one["state"], one["blocking"]) for one in now[:8]]) from None
        return [one["id"] for one in self.imports() if one["id"] in ids and is_asked(one)]


MOVING = ("accepted", "running", "waiting", "undoing")


def is_asked(one):
    blocking = one["blocking"] or {}
    return one["state"] == "undoing" and (blocking.get("step"), blocking.get("party")) == ("fingerprint_after", "operator")


def disturb(world, done, one):
    """Somebody changes something between the two fingerprints: once, and noted whether it could be done."""
    number = len(done)
    name, args, _ = ACTS[number % len(ACTS)]
    kind, trail = TRAILS[number % len(TRAILS)]
    try:
        world.act(one["organization"]["management_account_id"], name, **args, **trail)
    except AssertionError:
        return  # this world has no such thing to change
    done[one["id"]] = (name, kind)


def is_over(one, expect):
    """Some kinds wait for ever, and some fail first and are mended by the scripted people."""
    if one["state"] == "waiting":
        return expect["state"] == "waiting" and one["blocking"] and one["blocking"]["step"] == expect["step"]
    if one["state"] == "failed" and expect["state"] == "completed":
        return False
    return one["state"] not in ("accepted", "running")


def check_verdict(one, expect, disturbed):
    """`disturbed`: None or (act, "seen" | "late" | "unseen")."""
    verdict, state = one["verdict"], one["state"]
    where = (one["external_ref"], state, verdict, disturbed, expect)
    assert verdict != "DISRUPTED", where
    if not disturbed:
        assert state == expect["state"] and (verdict or "") == expect["verdict"], where
        return
    if verdict is None:  # it ended before its last fingerprint
        assert state == expect["state"], where
        return
    assert verdict != "PROVEN", where
    if disturbed[1] == "unseen":
        assert verdict == "UNEXPLAINED" and state == "held", where
    else:
        assert verdict == "PROVEN+FOREIGN" and state == "completed", where


def worker_writes(world):
    """Effective writes by workers, but for the closing ones on the key that was lent."""
    return [one for one in world.effects() if one["request_id"] and one["op"].split(":")[0] in ("iam", "s3", "cur", "tax", "partnercentral")
            and one["op"] not in ("iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:DeleteUser", "iam:DetachUserPolicy")]


def ours_left(state):
    """Names in a world that only an import makes."""
    reports = state.get("cur", {}).get("reports", {})
    names = [r["ReportName"] for r in (reports if isinstance(reports, list) else reports.values())]
    return {"roles": sorted(n for n in state["iam"]["roles"] if n in ("doitintl_cmp", "AWSAdmin", "CloudHealth")),
            "buckets": sorted(n for n in state["s3"]["buckets"] if n.startswith("doitintl-")),
            "reports": sorted(n for n in names if n.startswith("doitintl-"))}


def every_verdict_is_the_worlds_truth(fleet):
    world = Proof(fleet, ORGS, latency_ms=2, kinds="all", seed=11, flags=("--faults=heavy",))
    try:
        play(world)
    except Exception:
        for log in world.logs:
            print("----", log, open(log, encoding="utf-8", errors="replace").read()[-2000:])
        raise
    finally:
        world.close()


def play(world):
    workers = [world.worker(), world.worker()]
    by_ref = {one["external_ref"]: one for one in world.sim_ask("worlds") if one.get("external_ref")}
    expect_of = lambda one: by_ref[one["external_ref"]]["expect"]  # noqa: E731
    before = {one["account"]: ours_left(world.state_of(one["account"])) for one in by_ref.values()}
    world.submit()
    until(lambda: len(world.imports()) == ORGS, PATIENCE)
    ids = [one["id"] for one in world.imports()]
    victims, disturbed = set(sorted(ids)[::3]), {}

    def look():
        now = world.imports()
        for one in now:
            # A kind that is disturbed by itself is left alone: two equal changes of one entry need one event only.
            if expect_of(one)["verdict"] in ("PROVEN", "") and one["id"] in victims and 9 <= one["progress"]["done"] <= 17 and one["state"] in ("running", "waiting"):
                victims.discard(one["id"])
                disturb(world, disturbed, one)
        return all(is_over(one, expect_of(one)) for one in now)
    until(look, PATIENCE, 0.3)
    views = {one: world.view(one) for one in ids}
    for one in views.values():
        check_verdict(one, expect_of(one), disturbed.get(one["id"]))
    kinds = collections.Counter(kind for _, kind in disturbed.values())
    verdicts = collections.Counter(one["verdict"] for one in views.values())
    assert kinds["seen"], kinds
    world.check_end()
    print("%d organizations, %s disturbed: %s" % (ORGS, dict(kinds), dict(verdicts)), flush=True)

    completed = [one for one in views.values() if one["state"] == "completed"]
    first_writes = len(worker_writes(world))
    again = world.submit_again({one["external_ref"] for one in completed}, PATIENCE)
    world.settled(again)
    for one in map(world.view, again):
        assert one["state"] == "completed" and one["verdict"] == "PROVEN", (one["external_ref"], one["state"], one["verdict"], one["error"])
    assert len(worker_writes(world)) == first_writes, worker_writes(world)[first_writes:][:4]
    print("second run: %d imports, 0 writes" % len(again), flush=True)

    # Last come, first undone: an account has one open import at most.
    first = [one["id"] for one in views.values() if one["state"] in ("completed", "failed", "held")]
    for some in again, first:
        for one in some:
            reply = world.dispatcher.post("/v1/imports/%s:undo" % one, {"by": "test", "reason": "contract ends"})
            assert reply.status == 200, (world.view(one)["external_ref"], reply)
        asked = world.settled(some)
        # What nobody explained during the import, nobody explains now: the operator is asked, and about nothing else.
        assert set(asked) <= {one for one in some if one in views and views[one]["verdict"] == "UNEXPLAINED"}, asked
        for one in asked:
            assert world.dispatcher.post("/v1/imports/%s:accept" % one, {"by": "test", "reason": "known"}).status == 200
        until(lambda: not [o for o in world.imports() if o["id"] in some and o["state"] == "undoing"], PATIENCE, 0.3)  # noqa: B023
    ends = collections.Counter()
    for one in map(world.view, [*again, *first]):
        ends[(one["state"], (one.get("undo") or {}).get("verdict"))] += 1
        if one["state"] != "undone" or one["external_ref"].endswith("-again"):
            continue
        account = one["organization"]["management_account_id"]
        left, was = ours_left(world.state_of(account)), before[account]
        listed = json.dumps(one["undo"]["remains"])
        for what, names in left.items():
            for name in set(names) - set(was[what]):
                assert name in listed, (one["external_ref"], what, name, one["undo"]["remains"])
            assert set(was[what]) <= set(names), (one["external_ref"], what, was, left)
    print("undo: %s" % {"%s %s" % key: n for key, n in ends.items()}, flush=True)
    assert not [key for key in ends if key[0] not in ("undone", "undoing", "failed", "held")], ends
    audit = world.dispatcher.post("/v1/audit")
    assert audit.status == 200 and audit.json["faults"] == [], audit
    for worker in workers:
        assert world.end(worker) == 0


if __name__ == "__main__":
    if not ORGS:
        skip("ORGIMPORT_FULL=1 or ORGIMPORT_PROOF_ORGS=24 plays it")
    run([every_verdict_is_the_worlds_truth], sys.argv[1])
