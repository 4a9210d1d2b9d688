"""An import that lives longer than CloudTrail remembers: its worker dies, three months pass, another one takes over.
The foreign change of the first days is still known by its event, and nothing is asked for again. Arg 1: folder of the programs."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402

DAY_MS = 86400000
OVERLAP_MS = 900000


def is_done(world, one, step):
    return any(s["name"] == step and s["state"] == "DONE" for s in world.dispatcher.get("/v1/imports/" + one).json["steps"])


def cursor(world, one):
    return int(world.fleet.cli("HGET", "f:{0}:trail:" + one, "us-east-1") or 0)


def lookups(world, account):
    return world.sim_ask("trail?account=" + account)["lookups"]


def event_of(world, account, name, role):
    for row in world.sim_ask("world/" + account)["state"]["trail_events"]:
        if row["EventName"] == name and row["CloudTrailEvent"]["requestParameters"].get("roleName") == role:
            return row
    return None


def told_by_the_bundle(world, one):
    signing = os.path.join(world.fleet.dir, "signing.key")
    subprocess.run([os.path.join(world.fleet.bin, "orgimport-dispatcher"), "--make-keys", "--keys=" + world.fleet.keys, "--token-file=" + world.fleet.token_file,
                    "--signing-key-file=" + signing], check=True, stdout=subprocess.DEVNULL)
    signer = world.fleet.dispatcher("--signing-key-file=" + signing)
    steps = signer.get("/v1/imports/%s/evidence" % one).json["payload"]["steps"]
    proof = next(step["result"]["proof"] for step in steps if step["name"] == "fingerprint_after")
    return {event["event_id"]: change["key"] for change in proof["foreign"] for event in change["events"]}


@with_world(1, flags=["--people-delay-ms=2500"])
def old_events_are_known_after_a_takeover(world):
    first = world.worker()
    world.submit()
    one = until(lambda: world.imports() and world.imports()[0], PATIENCE)
    one, account = one["id"], one["organization"]["management_account_id"]
    until(lambda: is_done(world, one, "fingerprint_before"), PATIENCE)
    world.act(account, "foreign.create_role", role="early-bird")
    event = until(lambda: event_of(world, account, "CreateRole", "early-bird"), PATIENCE)
    until(lambda: cursor(world, one) > event["visible_ms"], PATIENCE)  # stored only with what was found before it
    assert not is_done(world, one, "root_mfa"), "the people were too fast for this test"
    world.workers[first - 1].kill()
    world.workers[first - 1].wait(20)
    known_until, asked = cursor(world, one), lookups(world, account)
    assert min(call["start_ms"] for call in asked) < known_until - OVERLAP_MS - 1000, asked

    world.sim_ask("clock", {"advance_ms": 91 * DAY_MS})
    second = world.worker()
    until(lambda: world.imports()[0]["state"] in ("completed", "held", "failed"), PATIENCE)
    view = world.dispatcher.get("/v1/imports/" + one).json
    assert (view["state"], view["verdict"]) == ("completed", "PROVEN+FOREIGN"), (view["state"], view["verdict"], view.get("error"))
    told = told_by_the_bundle(world, one)
    assert told == {event["EventId"]: "early-bird"}, told

    later = lookups(world, account)[len(asked):]
    assert later and min(call["start_ms"] for call in later) >= known_until - OVERLAP_MS - 1000, (known_until, later[:3])
    assert later[0]["shown"] == 0, "the simulated CloudTrail has not forgotten: %s" % later[0]
    print("%d looks before, %d after the takeover, none of them from the beginning" % (len(asked), len(later)))
    world.check_end()
    assert world.end(second) == 0


if __name__ == "__main__":
    run([old_events_are_known_after_a_takeover], sys.argv[1])
