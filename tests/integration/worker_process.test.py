"""The worker as a process: what it refuses to start with, health, drain, a stopped worker that wakes too late, Redis
dying under it. Arg 1: folder of the programs."""
import configparser
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, skip, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402


@with_world(1)
def refuses_what_cannot_work(world):
    fleet = world.fleet
    good = {"redis": "unix://" + fleet.socket, "keys": fleet.keys, "mode": "sim", "endpoints": world.endpoint,
            "sim-credentials": world.operator}
    empty = os.path.join(fleet.dir, "empty")
    os.mkdir(empty)
    bad = [({"redis": None}, "redis is not set"), ({"keys": None}, "keys is not set"), ({"keys": empty}, "no readable seal-"),
           ({"endpoints": None}, "needs endpoints"), ({"sim-credentials": None}, "needs sim-credentials"),
           ({"sim-credentials": "/nonexistent"}, "sim-credentials"), ({"mode": "live"}, "mode sim only"),
           ({"mode": "live", "endpoints": None, "sim-credentials": None}, "fleet.mode"), ({"shards": "7"}, "shards"),
           ({"call-timeout-ms": "29000"}, "call-timeout-ms"), ({"lease-ms": "12"}, "lease-ms"),
           ({"redis": "redis://127.0.0.1:1"}, "redis.unavailable")]
    for change, words in bad:
        settings = {**good, **change}
        flags = ["--%s=%s" % pair for pair in settings.items() if pair[1] is not None]
        done = subprocess.run([os.path.join(fleet.bin, "orgimport-worker"), *flags], capture_output=True, text=True, check=False, timeout=60)
        said = [line for line in done.stderr.splitlines() if line.startswith("orgimport-worker:")]
        assert done.returncode == 2 and len(said) == 1 and words in said[0], (change, done.returncode, done.stderr)
    done = subprocess.run([os.path.join(fleet.bin, "orgimport-worker"), "--health", "--health-socket=/nonexistent"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1, done


@with_world(6)
def drains_and_hands_back(world):
    first = world.worker()
    until(lambda: world.health(first).returncode == 0)
    report = json.loads(world.health(first).stdout)
    assert report["ok"] and report["sessions"] == 1 and report["name"] == "w1", report
    world.submit()
    until(lambda: len(world.effects()) >= 4, PATIENCE)
    assert world.end(first) == 0
    assert world.health(first).returncode == 1
    assert world.fleet.cli("ZCARD", "f:{0}:sess") == "0"
    for one in world.imports():
        steps = world.dispatcher.get("/v1/imports/" + one["id"]).json["steps"]
        for step in steps:
            assert step["state"] != "ACTIVE" and (step["state"] != "READY" or step["attempts"] == 0), step
    second = world.worker()
    world.wait_completed(6)
    assert world.end(second) == 0
    world.check_end()


@with_world(6)
def a_stopped_worker_does_no_harm_when_it_wakes(world):
    first = world.worker()
    until(lambda: world.health(first).returncode == 0)
    world.submit()
    until(lambda: len(world.effects()) >= 4, PATIENCE)
    world.workers[first - 1].send_signal(signal.SIGSTOP)
    assert world.health(first).returncode == 1
    second = world.worker()
    # The second one reaps the first one's session and takes its imports. Its own session stands there first, or the one that is
    # counted could be the first one's still.
    until(lambda: world.health(second).returncode == 0 and world.fleet.cli("ZCARD", "f:{0}:sess") == "1", PATIENCE)
    effects = len(world.effects())
    until(lambda: len(world.effects()) > effects, PATIENCE)
    world.workers[first - 1].send_signal(signal.SIGCONT)
    until(lambda: "session.lost" in open(world.logs[first - 1], encoding="utf-8").read(), PATIENCE)
    world.wait_completed(6)
    assert world.end(first) == 0 and world.end(second) == 0
    world.check_end()


@with_world(6)
def goes_on_after_redis_died(world):
    only = world.worker()
    until(lambda: world.health(only).returncode == 0)
    world.submit()
    for n in (2, 10):
        until(lambda n=n: len(world.effects()) >= n, PATIENCE)
        world.fleet.redis.kill()
        world.fleet.redis.wait(20)
        world.fleet.start_redis()
    world.wait_completed(6)
    assert world.end(only) == 0
    world.check_end()


@with_world(8)
def killed_workers_lose_nothing(world):
    for n in range(4):
        number = world.worker()
        if n == 0:
            world.submit()
        effects = len(world.effects()) if os.path.exists(world.effects_file) else 0
        until(lambda effects=effects: len(world.effects()) >= effects + 5, PATIENCE)
        world.workers[number - 1].kill()
        world.workers[number - 1].wait(20)
    last = world.worker()
    world.wait_completed(8)
    assert world.end(last) == 0
    world.check_end()


@with_world(5)
def cancel_and_pause_stop_at_a_call_boundary(world):
    only = world.worker()
    world.submit()
    until(lambda: len(world.effects()) >= 5, PATIENCE)
    d = world.dispatcher
    cancelled, paused = (one["id"] for one in world.imports()[:2])
    assert d.post("/v1/imports/%s:cancel" % cancelled, {"reason": "test", "keep": True}).status < 300
    assert d.post("/v1/imports/%s:pause" % paused, {"reason": "test"}).status < 300
    state = lambda which: d.get("/v1/imports/" + which).json["state"]  # noqa: E731
    active = lambda which: [step for step in d.get("/v1/imports/" + which).json["steps"] if step["state"] == "ACTIVE"]  # noqa: E731
    until(lambda: state(cancelled) == "cancelled" and state(paused) == "paused" and not active(paused), PATIENCE)
    accounts = [d.get("/v1/imports/" + which).json["organization"]["management_account_id"] for which in (cancelled, paused)]
    # People go on as they like; what is signed is ours.
    count = lambda: sum(one["account"] in accounts and bool(one["access_key_id"]) for one in world.effects())  # noqa: E731
    before = count()
    until(lambda: sum(one["state"] == "completed" for one in world.imports()) == 3, PATIENCE)
    assert count() == before, "something was written for an import that was stopped"
    assert d.post("/v1/imports/%s:resume" % paused).status < 300
    until(lambda: state(paused) == "completed", PATIENCE)
    assert state(cancelled) == "cancelled"
    assert world.end(only) == 0
    world.check_end()


def secrets_in(pid, secrets):
    """Which of these texts lie anywhere in the memory of a process."""
    found = set()
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            place, rights = line.split()[:2]
            start, end = (int(part, 16) for part in place.split("-"))
            if not rights.startswith("rw") or end - start > 1 << 32:  # the sanitizer's shadow holds no texts
                continue
            try:
                mem.seek(start)
                bytes_ = mem.read(end - start)
            except (OSError, OverflowError):
                continue
            found |= {secret for secret in secrets if secret.encode() in bytes_}
    return found


@with_world(4)
def opened_keys_end_with_the_import(world):
    """The customers' secrets, looked for in the worker's own memory: there while it works, gone when an import has ended, and
    gone when one rests for longer than it may be kept open (it may have been cancelled elsewhere)."""
    only = world.worker("--warm-keys-ms=1000")
    keys = configparser.ConfigParser()
    keys.read(world.keys)
    secrets = {keys[ref]["aws_secret_access_key"]: ref for ref in keys.sections()}  # the others hand over a role
    assert len(secrets) > 1, secrets
    pid = world.workers[only - 1].pid
    try:
        secrets_in(pid, secrets)
    except PermissionError:
        skip("the memory of a process cannot be read here")
    world.submit()
    one = until(lambda: secrets_in(pid, secrets), PATIENCE).pop()
    resting = next(row["id"] for row in world.imports() if row["external_ref"] == secrets[one])
    assert world.dispatcher.post("/v1/imports/%s:pause" % resting, {"reason": "test"}).status < 300
    until(lambda: not secrets_in(pid, [one]), PATIENCE)
    assert world.end(only) == 0
    second = world.worker()  # keeps what rests open for ten minutes
    pid = world.workers[second - 1].pid
    assert world.dispatcher.post("/v1/imports/%s:resume" % resting).status < 300
    until(lambda: secrets_in(pid, secrets), PATIENCE)
    world.wait_completed(4)
    until(lambda: not secrets_in(pid, secrets), 10)
    assert world.end(second) == 0
    world.check_end()


class LosingProxy:
    """Between a worker and Redis: the replies of the next `left` turns that bring imports are lost with their connection."""

    def __init__(self, fleet):
        self.real, self.path, self.left, self.lost = fleet.socket, fleet.socket + ".losing", 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.real)
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, to, is_reply):
        try:
            while True:
                data = source.recv(1 << 20)
                if is_reply and self.left and re.search(rb"\*7\r\n:\d+\r\n:\d+\r\n", data) and b"imp_" in data:
                    self.left -= 1
                    self.lost += 1
                    break
                if not data:
                    break
                to.sendall(data)
        except OSError:
            pass
        for one in (source, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


@with_world(3)
def a_lost_claim_is_asked_for_at_once(world):
    """The lease is so long that no heartbeat can tell what is missing: only the list after the lost reply does."""
    proxy = LosingProxy(world.fleet)
    only = world.worker(redis=proxy.path, lease_ms=600000)
    until(lambda: world.health(only).returncode == 0)
    proxy.left = 2
    world.submit()
    log = lambda: [json.loads(line) for line in open(world.logs[only - 1], encoding="utf-8") if line.endswith("\n")]  # noqa: E731
    until(lambda: proxy.lost == 2, PATIENCE)
    until(lambda: any(line["ev"] == "session.listed" and int(line["held"]) > int(line["known"]) for line in log()), PATIENCE)
    world.wait_completed(3)
    assert world.end(only) == 0
    proxy.close()
    world.check_end()


@with_world(3)
def a_claim_that_was_forgotten_is_found_though_mail_comes(world):
    """The worker's session holds imports that the worker never heard of, and there is word for each of them all the time."""
    redis = lambda *words: subprocess.run(["redis-cli", "-s", world.fleet.socket, *words], capture_output=True, encoding="latin-1", check=True).stdout  # noqa: E731
    only = world.worker()
    until(lambda: world.health(only).returncode == 0)
    session, = redis("ZRANGE", "f:{0}:sess", "0", "-1").split()
    world.workers[only - 1].send_signal(signal.SIGSTOP)
    world.submit()
    until(lambda: len(world.imports()) == 3)
    redis("FCALL", "turn_1", "2", "f:{0}:h", "f:{0}:-", session, "7", "3", "0", "0", "")
    ids = sorted(one["id"] for one in world.imports())
    for word in ("pause", "resume"):
        for one in ids:
            assert world.dispatcher.post("/v1/imports/%s:%s" % (one, word), {"reason": "test"}).status < 300
    assert sorted(redis("SMEMBERS", "f:{0}:own:" + session).split()) == sorted(redis("SMEMBERS", "f:{0}:mail:" + session).split()) == ids
    world.workers[only - 1].send_signal(signal.SIGCONT)
    world.wait_completed(3)
    assert world.end(only) == 0
    world.check_end()


if __name__ == "__main__":
    tests = [refuses_what_cannot_work, drains_and_hands_back, a_stopped_worker_does_no_harm_when_it_wakes, goes_on_after_redis_died,
             cancel_and_pause_stop_at_a_call_boundary, opened_keys_end_with_the_import,
             a_lost_claim_is_asked_for_at_once, a_claim_that_was_forgotten_is_found_though_mail_comes, (killed_workers_lose_nothing, 4)]
    name = lambda test: (test[0] if isinstance(test, tuple) else test).__name__  # noqa: E731
    run([test for test in tests if name(test) in sys.argv[2:] or len(sys.argv) == 2], sys.argv[1])
