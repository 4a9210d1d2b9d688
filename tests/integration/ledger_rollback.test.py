"""A failover to a replica that lagged behind, as a worker sees it: Redis comes back without its last writes while a call is under
way. The worker is refused, reads again what is there, names in the chain what was lost, and the step ends. Arg 1: programs."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402


def lines_of(fleet):
    lines = [json.loads(line) for line in fleet.cli("HVALS", "f:{0}:h", check=False).split("\n") if line.startswith('{"') and '"prev":' in line]
    yield from sorted(lines, key=lambda line: (line["step"], line["n"]))


def write_under_way(fleet):
    """An intent that Redis has confirmed and whose answer is not there yet: its hash."""
    lines = list(lines_of(fleet))
    answered = {(line["step"], line["key"]) for line in lines if line["kind"] == "answer"}
    return [line for line in lines if line["kind"] == "intent" and line["op"].startswith("iam:") and (line["step"], line["key"]) not in answered]


def forget(fleet, intent):
    """Redis dies, and what it wrote from that intent on is gone."""
    fleet.redis.kill()
    fleet.redis.wait(10)
    log = max(glob.glob(os.path.join(fleet.dir, "appendonlydir/*.incr.aof")), key=os.path.getmtime)
    with open(log, "rb") as file:
        at = file.read().rfind(intent["hash"].encode())
    assert at > 0, "the intent is not in the log"
    os.truncate(log, at)  # in the middle of a transaction: the whole of it goes
    fleet.start_redis()


@with_world(1, latency_ms=900)
def lost_links_are_named(world):
    world.worker()
    world.submit()
    intent = until(lambda: write_under_way(world.fleet), PATIENCE)[0]
    forget(world.fleet, intent)
    lost = until(lambda: [line for line in lines_of(world.fleet) if line["kind"] == "rollback" and line["step"] == intent["step"]], PATIENCE)
    line = lost[0]["result"]
    assert line["lost_n"] == intent["n"] and line["lost_hash"] == intent["hash"], (line, intent)
    assert line["kept_n"] == lost[0]["n"] - 1 and line["kept_hash"] == lost[0]["prev"], lost
    assert [(one["key"], one["op"]) for one in lost[0]["writes"]] == [(intent["key"], intent["op"])], lost[0]
    until(lambda: any(end["kind"] == "outcome" and end["result"]["outcome"] == "D" and end["step"] == intent["step"] for end in lines_of(world.fleet)), PATIENCE)
    story = [one for one in lines_of(world.fleet) if one["step"] == intent["step"]]
    print([(one["n"], one["kind"], one.get("op", "")) for one in story])
    assert len([one for one in story if one["kind"] == "rollback"]) == 1, story
    world.check_end()


if __name__ == "__main__":
    run([lost_links_are_named], sys.argv[1])
