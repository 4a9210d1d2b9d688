"""Undo of whole imports, by the real programs: stopped at every point of the playbook, with people at work, foreign edits
in between and a worker killed on the way; the world must then be as before, but for what others changed and for what the
undo itself lists. Arg 1: folder of the programs. ORGIMPORT_FULL=1: more organizations."""
import json
import os
import sys
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402
from world_essence import difference, essence, remainder, reports  # noqa: E402

ORGS = 40 if os.environ.get("ORGIMPORT_FULL") else 12
# Each: what somebody else does, and what of it must still be there afterwards.
EDITS = [
    ("foreign.attach_policy", {"role": "doitintl_cmp"}, lambda s: "doitintl_cmp" in s["iam"]["roles"]),
    ("foreign.bucket_statement", {}, lambda s: any("policy" in b for n, b in s["s3"]["buckets"].items() if n.startswith("doitintl-"))),
    ("foreign.change_report", {}, lambda s: any(n.startswith("doitintl-") for n in reports(s))),
    ("foreign.create_user", {}, lambda s: len(s["iam"]["users"]) > 1),
    ("foreign.new_scp", {}, lambda s: any(p["PolicySummary"]["Type"] == "SERVICE_CONTROL_POLICY" and not p["PolicySummary"]["AwsManaged"]
                                          for p in s["policies"].values())),
]


def state_of(world, account):
    return world.sim_ask("world/" + account)["state"]


def act(world, account, what, args):
    try:
        world.sim_ask("world/%s/act" % account, {"what": what, "args": args})
        return True
    except urllib.error.HTTPError:
        return False  # not possible yet: our role or bucket is not there


def settle(world, ids, what="undone"):
    views = {}

    def done():
        for one in ids:
            if one not in views:
                view = world.dispatcher.get("/v1/imports/" + one)
                if view.status == 200 and view.json["state"] == what:
                    views[one] = view.json
        return len(views) == len(ids)
    try:
        until(done, PATIENCE)
    except AssertionError:
        for one in ids:
            if one not in views:
                view = world.dispatcher.get("/v1/imports/" + one).json
                print(one, view["state"], view["blocking"], json.dumps(view["error"])[:1500])
        raise
    return views


def check_root_devices(was, now, view):
    """As before, or named in the remainder with owner and command: an operator's device never stays unsaid."""
    listed = [item["what"] for item in view["undo"]["remains"]]
    for serial in set(was) ^ set(now):
        assert any(serial in what.split() for what in listed), (view["external_ref"], serial, was, now, listed)


def check_back(world, before, view, edited=()):
    """before + foreign + remainder."""
    account = view["organization"]["management_account_id"]
    now = state_of(world, account)
    verdict = view["undo"]["verdict"]
    assert verdict in ("PROVEN", "PROVEN+FOREIGN", "NOTHING CHANGED"), (view["external_ref"], verdict)
    for item in view["undo"]["remains"]:
        assert item["owner"] in ("customer", "operator") and item["command"], item
    left = remainder(view)
    was, is_now = essence(before, left), essence(now, left)
    check_root_devices(was.pop("root devices"), is_now.pop("root devices"), view)
    for section in ("users", "org policies") if edited else ():  # what was there still is, and others came
        assert not difference(was[section], {key: value for key, value in is_now[section].items() if key in was[section]})
        was.pop(section), is_now.pop(section)
    found = difference(was, is_now)
    assert not found, "%s (%s): %s" % (view["external_ref"], account, found)
    for what, _, is_there in edited or ():
        assert is_there(now), (view["external_ref"], what)
    return now


def at_work_on_root(world, import_id):
    steps = world.dispatcher.get("/v1/imports/" + import_id).json["steps"]
    return any(one["name"] == "root_mfa_handover" and one["state"] in ("WAITING", "DONE") for one in steps)


def audit(world):
    reply = world.dispatcher.post("/v1/audit")
    assert reply.status == 200 and reply.json["faults"] == [], reply


@with_world(ORGS)
def every_prefix_goes_back(world):
    first = world.worker()
    accounts = [one["account"] for one in world.sim_ask("worlds") if one.get("external_ref")]
    before = {account: state_of(world, account) for account in accounts}
    world.submit()
    imports = until(lambda: len(world.imports()) == ORGS and world.imports(), PATIENCE)
    # One import is stopped after one step, the next after two, ...: spread over the playbook.
    goal = {one["id"]: 1 + 22 * k // ORGS for k, one in enumerate(sorted(imports, key=lambda one: one["id"]))}
    begun, edited, late, killed = {}, {}, [], False

    def look():
        for one in world.imports():
            if one["id"] in begun or one["progress"]["done"] < goal[one["id"]]:
                continue
            account = one["organization"]["management_account_id"]
            if len(begun) % 2:  # every second organization has somebody else at work
                edited[one["id"]] = [edit for edit in EDITS if act(world, account, edit[0], edit[1])]
            goes_on = at_work_on_root(world, one["id"])
            reply = world.dispatcher.post("/v1/imports/%s:undo" % one["id"], {"by": "test", "reason": "after %d" % goal[one["id"]]})
            assert reply.status == 200 and reply.json["state"] in ("undoing", "undone"), reply
            begun[one["id"]] = reply.json["progress"]
            if goes_on and act(world, account, "operator.root_mfa_on", {"mark": "-late"}):
                late.append(one["id"])  # an operator who is slow to notice registers devices all the same
        return len(begun) == ORGS

    until(look, PATIENCE)
    # The worker dies while it takes things back; another goes on.
    undoing = lambda: sum(one["state"] == "undoing" for one in world.imports())  # noqa: E731
    second = world.worker()
    if undoing():
        world.workers[first - 1].kill()
        world.workers[first - 1].wait(20)
        killed = True
    views = settle(world, list(begun))
    for one, view in views.items():
        check_back(world, before[view["organization"]["management_account_id"]], view, edited.get(one))
        again = world.dispatcher.post("/v1/imports/%s:undo" % one, {"by": "test", "reason": "again"})
        assert again.status == 200 and again.json["version"] == view["version"], again
    assert killed and len([e for e in edited.values() if e]) >= 2 and len(late) >= 2, (killed, edited, late)
    assert world.end(second) == 0
    audit(world)


@with_world(4)
def finished_imports_go_back_and_may_come_again(world):
    only = world.worker()
    accounts = [one["account"] for one in world.sim_ask("worlds") if one.get("external_ref")]
    before = {account: state_of(world, account) for account in accounts}
    world.submit()
    world.wait_completed(4)
    ids = [one["id"] for one in world.imports()]
    methods = set()
    for one in ids:
        plan = world.dispatcher.get("/v1/imports/%s/undo-plan" % one).json
        view = world.dispatcher.get("/v1/imports/" + one).json
        methods.add(view["access_method"])
        assert plan["possible"] and plan["removes"] and plan["people"] and plan["order"][0] == "access_handover", plan
        asks_for_key = any(item["step"] == "access_handover" for item in plan["people"])
        assert asks_for_key == (view["access_method"] == "sealed_key"), plan
        refused = world.dispatcher.post("/v1/imports/%s:undo" % one, {"by": "test"})
        assert refused.status == 422, refused
    assert len(methods) == 2, "the worlds should hand over keys and roles: %s" % methods
    cancelled = world.dispatcher.post("/v1/imports/%s:cancel" % ids[0], {"by": "test", "reason": "contract", "keep": False})
    assert cancelled.status == 200 and cancelled.json["state"] == "undoing", cancelled
    for one in ids[1:]:
        begun = world.dispatcher.post("/v1/imports/%s:undo" % one, {"by": "test", "reason": "contract"})
        assert begun.status == 200, begun
    views = settle(world, ids)
    for view in views.values():
        check_back(world, before[view["organization"]["management_account_id"]], view)
        plan = world.dispatcher.get("/v1/imports/%s/undo-plan" % view["id"]).json
        assert not plan["possible"], plan
        state = {step["name"]: step for step in view["steps"]}
        assert state["fingerprint_before"]["result"] and state["handover_report"]["undo"]["summary"], state["handover_report"]
    # The same customers once more.
    fresh = world.submit_again({one["external_ref"] for one in world.sim_ask("worlds") if one.get("external_ref")})
    assert len(fresh) == 4, fresh
    for view in settle(world, fresh, "completed").values():
        assert view["verdict"] == "PROVEN", (view["external_ref"], view["verdict"])
    assert world.end(only) == 0
    audit(world)


if __name__ == "__main__":
    tests = [every_prefix_goes_back, finished_imports_go_back_and_may_come_again]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
