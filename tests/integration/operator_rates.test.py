"""A thousand imports reach the operator's own account together: several workers stay within its rates as if they were one, and
when AWS throttles one of them, all keep still. awssim counts. Arg 1: folder of the programs."""
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_fleet import SimFleet  # noqa: E402

OPERATOR, IMPORTS, WORKERS = "999900000001", 1000, 3
# STS: 600 a second with bursts of as many, for the whole account (rate.def). Scaled down, so that a thousand imports reach it.
SCALE_PCT = 20
AWS_RATE = AWS_BURST = 600 * SCALE_PCT / 100
OURS = AWS_RATE / 2
IN_HAND = 32 * WORKERS  # what workers may have drawn and not used yet (tokens.c)


def ask(sim, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(sim.endpoint + "/_sim/" + path, data=data), timeout=60) as answer:
        return json.loads(answer.read())


def arrivals(sim):
    """When the operator's account was asked to assume the roles that customers made, by awssim's clock."""
    return sorted(ask(sim, "calls?account=" + OPERATOR).get("sts:AssumeRole", []))


def least_left(times, rate, burst):
    """What AWS's own bucket holds at its lowest: below nothing, it would have throttled."""
    have, last, least = burst, times[0], burst
    for at in times:
        have = min(burst, have + (at - last) / 1000 * rate) - 1
        last, least = at, min(least, have)
    return least


def a_thousand_imports_stay_within_the_operators_rates(fleet):
    sim = SimFleet(fleet, 1, people_delay_ms=3600000)
    try:
        # Roles that nobody has made yet: each import tries, is refused, and waits for a person.
        rows = [{"external_ref": "op-%d" % i, "customer": {"name": "C"}, "organization": {"management_account_id": "%012d" % (200000000000 + i)},
                 "access": {"method": "role"}} for i in range(IMPORTS)]
        batch = sim.dispatcher.post("/v1/batches", rows, headers={"Content-Type": "application/json"}).json["id"]
        until(lambda: sim.dispatcher.get("/v1/batches/" + batch).json["done"] == IMPORTS, 300)
        for _ in range(WORKERS):
            sim.worker("--rate-scale-pct=%d" % SCALE_PCT, "--poll-ms=3600000")
        until(lambda: int(fleet.cli("ZCARD", "f:{0}:ix:waiting")) == IMPORTS, 400, every=0.5)
        times = arrivals(sim)
        seconds = (times[-1] - times[0]) / 1000
        print("     %d calls in %.1f s, %.1f a second of %d that AWS allows; its bucket never had less than %.0f of %d" % (
            len(times), seconds, len(times) / seconds, AWS_RATE, least_left(times, AWS_RATE, AWS_BURST), AWS_BURST))
        assert len(times) >= IMPORTS, len(times)
        assert least_left(times, AWS_RATE, AWS_BURST) >= 0
        assert len(times) <= OURS + OURS * seconds + IN_HAND, (len(times), seconds)
        one_throttle_is_everybodys(fleet, sim)
    finally:
        sim.stop()


def one_throttle_is_everybodys(fleet, sim):
    bucket = "f:{op:%s}:tb:sts" % OPERATOR
    assert fleet.cli("HGET", bucket, "until") == "0", "nobody was throttled until now"
    ask(sim, "faults", {"throttle": 1, "count": 1, "only": "sts:AssumeRole"})
    one = sim.imports()[0]
    assert sim.dispatcher.post("/v1/tasks/%s:recheck" % one["blocking"]["task_id"] if one["blocking"].get("task_id") else
                               "/v1/tasks/tsk_%s.access_handover:recheck" % one["id"][4:], {}).status < 300
    until(lambda: int(fleet.cli("HGET", bucket, "until")) > 0, 60)


if __name__ == "__main__":
    run([a_thousand_imports_stay_within_the_operators_rates], sys.argv[1])
