"""The fleet-wide halt: three workers stop writing within a lease time and go on after release; only DISRUPTED halts.
Arg 1: folder of the programs."""
import hashlib
import json
import os
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import LEASE_MS, PATIENCE, with_world  # noqa: E402


def cli(world, *words):
    url = "http://" + world.dispatcher.address.replace("http://", "")
    return subprocess.run([os.path.join(world.fleet.bin, "orgimport"), *words, "--url=" + url, "--token-file=" + world.fleet.token_file],
                          capture_output=True, text=True, check=False)


def act(world, account, what, **args):
    body = json.dumps({"what": what, "args": args}).encode()
    with urllib.request.urlopen(urllib.request.Request(world.endpoint + "/_sim/world/%s/act" % account, body), timeout=20) as answer:
        return answer.read()


def ours(world):
    """Effects that our workers made, not people."""
    return [one for one in world.effects() if one["access_key_id"]]


def redis_ms(world):
    seconds, micros = world.fleet.cli("TIME").split()
    return int(seconds) * 1000 + int(micros) // 1000


def halted(world):
    return world.dispatcher.get("/v1/fleet").json["halted"]


def chain_is_whole(log):
    prev = ""
    for n, line in enumerate(log, 1):
        told = line.pop("hash")
        assert line["n"] == n and line["prev"] == prev, (line, prev)
        assert hashlib.sha256(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest() == told, line
        prev = told


@with_world(8)
def three_workers_stop_within_a_lease_and_go_on(world):
    numbers = [world.worker() for _ in range(3)]
    world.submit()
    until(lambda: len(ours(world)) >= 3, PATIENCE)
    assert cli(world, "fleet", "halt", "--reason", "drill").returncode == 2, "who?"
    done = cli(world, "fleet", "halt", "--reason", "drill", "--by", "ann")
    assert done.returncode == 0, done.stdout + done.stderr
    since = redis_ms(world)
    until(lambda: all(json.loads(world.health(n).stdout)["halted"] for n in numbers), PATIENCE)
    status = cli(world, "fleet", "status")
    assert status.returncode == 6 and "HALTED" in status.stdout and "drill" in status.stdout, status.stdout
    assert "orgimport_fleet_halted 1" in world.dispatcher.get("/metrics").body

    # Reads and people go on: everybody comes as far as one can come without writing.
    def stands_still():
        blocked = [one["blocking"] for one in world.imports()]
        return len(blocked) == 8 and all(b and b["party"] == "operator" for b in blocked) and redis_ms(world) > since + 2 * LEASE_MS
    until(stands_still, PATIENCE)
    late = [one for one in ours(world) if one["at_ms"] > since + LEASE_MS]
    assert not late, "written after a lease time: %s" % late
    steps = world.dispatcher.get("/v1/imports/" + world.imports()[0]["id"]).json["steps"]
    assert all(step["attempts"] <= 2 for step in steps), "waiting costs no attempt"
    before = len(ours(world))

    assert cli(world, "fleet", "release").returncode == 2
    assert cli(world, "fleet", "release", "--reason", "drill over", "--by", "ann").returncode == 0
    assert cli(world, "fleet", "release", "--reason", "again", "--by", "ann").returncode == 1, "nothing is halted any more"
    world.wait_completed(8)
    assert len(ours(world)) > before and not halted(world)
    log = world.dispatcher.get("/v1/fleet").json["log"]
    assert [(line["what"], line["by"], line["reason"]) for line in log] == [("halt", "ann", "drill"), ("release", "ann", "drill over")], log
    chain_is_whole(log)
    assert [world.end(n) for n in numbers] == [0, 0, 0]
    world.check_end()


@with_world(3)
def only_disrupted_halts(world):
    only = world.worker("--poll-ms=100")
    world.submit()
    until(lambda: len(world.imports()) == 3, PATIENCE)
    rogue, unseen, quiet = sorted(world.imports(), key=lambda one: one["id"])
    account = lambda one: one["organization"]["management_account_id"]  # noqa: E731
    state = lambda one: world.dispatcher.get("/v1/imports/" + one["id"]).json  # noqa: E731
    until(lambda: all(any(s["name"] == "fingerprint_before" and s["state"] == "DONE" for s in state(one)["steps"]) for one in (rogue, unseen)), PATIENCE)
    act(world, account(unseen), "foreign.create_user", name="nobody-saw", trail="none")
    act(world, account(rogue), "foreign.create_role", **{"role": "backdoor", "as": "session", "session": rogue["id"]})
    assert world.dispatcher.post("/v1/imports/%s:pause" % rogue["id"], {"by": "ann", "reason": "the other one first"}).status == 200
    until(lambda: state(unseen)["state"] == "held", PATIENCE)
    assert not halted(world), "UNEXPLAINED halts nobody"
    assert world.dispatcher.post("/v1/imports/%s:resume" % rogue["id"], {"by": "ann"}).status == 200
    until(lambda: state(rogue)["state"] == "held", PATIENCE)
    view = state(rogue)
    assert view["verdict"] == "DISRUPTED" and view["error"]["code"] == "proof.disrupted", view
    assert state(unseen)["verdict"] == "UNEXPLAINED", "one customer's riddle is not our fault"
    fleet = world.dispatcher.get("/v1/fleet").json
    assert fleet["halted"] and fleet["halt"]["import"] == rogue["id"] and "CreateRole" in fleet["halt"]["reason"], fleet
    assert [line["import"] for line in fleet["log"]] == [rogue["id"]], "UNEXPLAINED halts nobody"

    release = {"reason": "our own test", "by": "ann"}
    assert world.dispatcher.post("/v1/fleet:release", release).status == 200
    world.dispatcher.post("/v1/imports/%s:retry" % rogue["id"], {"by": "ann", "reason": "look again"})
    until(lambda: state(quiet)["state"] == "completed", PATIENCE)
    assert not halted(world), "a finding that was released does not halt again"
    for one in (rogue, unseen):
        until(lambda one=one: state(one)["state"] == "held", PATIENCE)
        assert world.dispatcher.post("/v1/imports/%s:accept" % one["id"], {"by": "ann", "reason": "known"}).status == 200
    world.wait_completed(3)
    assert (state(rogue)["verdict"], state(unseen)["verdict"]) == ("DISRUPTED (accepted)", "UNEXPLAINED (accepted)")
    assert state(quiet)["verdict"] == "PROVEN"
    assert world.end(only) == 0
    world.check_end()


if __name__ == "__main__":
    tests = [three_workers_stop_within_a_lease_and_go_on, only_disrupted_halts]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
