"""Nothing polls: what a fleet of 64 shards with nothing to do sends to Redis, counted at Redis, is under 30 commands a second.
Arg 1: folder of the programs."""
import collections
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, skip, until  # noqa: E402

SHARDS, SETTLE_SECONDS, SECONDS, MOST = 64, 12, 60, 30


class Idle:
    """Two dispatchers and two workers that nobody gives any work, with the product's own settings."""

    def __init__(self, fleet):
        self.fleet = fleet
        for program in ("orgimport-awssim", "orgimport-worker"):
            if not os.path.exists(os.path.join(fleet.bin, program)):
                skip(program + " is not built")
        file = lambda name: os.path.join(fleet.dir, name)  # noqa: E731
        program = lambda name: os.path.join(fleet.bin, name)  # noqa: E731
        subprocess.run([program("orgimport-dispatcher"), "--make-keys", "--keys=" + fleet.keys, "--token-file=" + fleet.token_file], check=True,
                       stdout=subprocess.DEVNULL)
        for _ in range(2):
            fleet.dispatcher()
        self.log = open(file("idle.log"), "ab")
        self.processes = [subprocess.Popen([program("orgimport-awssim"), "--orgs=1", "--address-file=" + file("sim"),
                                            "--operator-credentials=" + file("operator.ini")], stdout=self.log, stderr=self.log)]
        endpoint = until(lambda: os.path.exists(file("sim")) and open(file("sim"), encoding="utf-8").read().strip())
        for _ in range(2):
            self.processes.append(subprocess.Popen(
                [program("orgimport-worker"), "--redis=unix://" + fleet.socket, "--keys=" + fleet.keys, "--mode=sim", "--endpoints=" + endpoint,
                 "--sim-credentials=" + file("operator.ini"), "--shards=%d" % fleet.shards], stdout=self.log, stderr=self.log))

    def has_sessions(self):
        ask = "".join("ZCARD f:{%d}:sess\n" % shard for shard in range(SHARDS))
        return self.fleet.cli(data=ask).split() == ["2"] * SHARDS

    def close(self):
        for process in self.processes:
            process.terminate()
            process.wait(60)
        self.log.close()


def redis_seconds(fleet):
    return int(fleet.cli("TIME").split()[0])


def words_of(line):
    return re.findall(r'"((?:[^"\\]|\\.)*)"', line)


def sent_in(fleet, seconds):
    """Name -> how often, of what clients sent; what functions call inside of Redis is not counted. And how long it took."""
    seen = os.path.join(fleet.dir, "commands")
    with open(seen, "wb") as file:
        monitor = subprocess.Popen(["redis-cli", "-s", fleet.socket, "MONITOR"], stdout=file)
    until(lambda: os.path.getsize(seen) > 0)
    began = redis_seconds(fleet)
    until(lambda: redis_seconds(fleet) >= began + seconds, seconds + 60, 2)
    monitor.terminate()
    monitor.wait()
    took = redis_seconds(fleet) - began
    lines = [words_of(line) for line in open(seen, encoding="utf-8", errors="replace") if " lua]" not in line]
    sent = collections.Counter(" ".join(words[:2 if words[0] == "FCALL" else 1]) for words in lines if words)
    del sent["TIME"]  # ours
    return sent, took


def an_idle_fleet_hardly_asks(fleet):
    """The seconds are Redis's own: a slow machine makes the count smaller, not larger."""
    idle = Idle(fleet)
    try:
        until(idle.has_sessions, 60)
        opened = redis_seconds(fleet)
        until(lambda: redis_seconds(fleet) >= opened + SETTLE_SECONDS, SETTLE_SECONDS + 60, 1)
        sent, took = sent_in(fleet, SECONDS)
        print("commands per second: %.1f; %s" % (sum(sent.values()) / took, {name: round(n / took, 2) for name, n in sent.most_common()}))
        assert sent["FCALL beat_1"] >= SHARDS and sum(sent.values()) < MOST * took, sent
    finally:
        idle.close()


if __name__ == "__main__":
    run([(an_idle_fleet_hardly_asks, SHARDS)], sys.argv[1])
