"""Busy organizations: a hundred foreign changes during a run, some of whose events come late and some never.
Arg 1: folder of the programs."""
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402

CHANGES = int(os.environ.get("VERDICT_CHANGES", "100"))
NEVER = 5


def act(world, account, what, **args):
    body = json.dumps({"what": what, "args": args}).encode()
    with urllib.request.urlopen(urllib.request.Request(world.endpoint + "/_sim/world/%s/act" % account, body), timeout=20) as answer:
        return answer.read()


def change(world, account, n, **args):
    """The n-th of many: six kinds in turn; its key in the fingerprint."""
    kind, name = n % 6, "busy-%03d" % n
    if kind == 0:
        act(world, account, "foreign.create_role", role=name, **args)
    elif kind == 1:
        act(world, account, "foreign.create_user", name=name, **args)
    elif kind == 2:
        name += ".amazonaws.com"
        act(world, account, "foreign.trusted_service", principal=name, **args)
    elif kind == 3:
        name = "%s-%s" % (name, account)
        act(world, account, "foreign.new_bucket", bucket=name, region="eu-west-1", **args)  # its event is in eu-west-1
    else:  # made first, then changed by somebody else
        act(world, account, "foreign.create_role", role=name, **args)
        act(world, account, "foreign.add_tag" if kind == 4 else "foreign.attach_policy", role=name, user="jane.doe", **args)
    return name


def view(world, one):
    return world.dispatcher.get("/v1/imports/" + one["id"]).json


def is_done(world, one, step):
    return any(s["name"] == step and s["state"] == "DONE" for s in view(world, one)["steps"])


@with_world(3)
def busy_organizations_end_right(world):
    only = world.worker("--poll-ms=300")
    world.submit()
    until(lambda: len(world.imports()) == 3, PATIENCE)
    busy, riddle, quiet = sorted(world.imports(), key=lambda one: one["id"])
    account = {one["id"]: one["organization"]["management_account_id"] for one in (busy, riddle, quiet)}
    for one in (busy, riddle):
        until(lambda one=one: is_done(world, one, "fingerprint_before"), PATIENCE)
    unseen = []
    for n in range(CHANGES):
        change(world, account[busy["id"]], n, late_ms=4000 if n % 5 == 0 else 0)
        is_never = n % (CHANGES // NEVER) == 3
        name = change(world, account[riddle["id"]], n, **({"trail": "none"} if is_never else {}))
        unseen += [name] if is_never else []
    # What we made, changed by somebody who says so: foreign, told, and no alarm.
    until(lambda: is_done(world, busy, "role_cmp"), PATIENCE)
    act(world, account[busy["id"]], "foreign.add_tag", role="doitintl_cmp", key="cost-center", value="7")

    until(lambda: view(world, busy)["state"] == "completed", PATIENCE)
    until(lambda: view(world, quiet)["state"] == "completed", PATIENCE)
    until(lambda: view(world, riddle)["state"] == "held", PATIENCE)
    ended, asked = view(world, busy), view(world, riddle)
    assert ended["verdict"] == "PROVEN+FOREIGN" and view(world, quiet)["verdict"] == "PROVEN", ended["verdict"]
    told = [text for step in ended["steps"] for text in (step.get("result") or {}).get("warnings", [])]
    assert not told or any("doitintl_cmp, which is ours" in text for text in told), told
    assert asked["verdict"] == "UNEXPLAINED" and asked["error"]["code"] == "proof.unexplained", asked
    details = next(step["error"]["details"] for step in asked["steps"] if step["name"] == "fingerprint_after")
    assert details["count"] == NEVER and details["foreign"] == CHANGES - NEVER, details
    assert sorted(unseen) == sorted(name for name in unseen for text in details["differences"] if " " + name + " " in text + " "), (unseen, details)
    assert not world.dispatcher.get("/v1/fleet").json["halted"], "no false alarm"
    assert world.end(only) == 0


if __name__ == "__main__":
    tests = [busy_organizations_end_right]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
