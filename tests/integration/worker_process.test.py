"""The worker as a process: what it refuses to start with, health, drain, a stopped worker that wakes too late, Redis
dying under it. Arg 1: folder of the programs."""
import collections
import configparser
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, skip, until  # noqa: E402

LEASE_MS = 3000
PATIENCE = 150


class World:
    """awssim with people, beside a fleet; real workers; customers submitted through the command line."""

    def __init__(self, fleet, orgs, latency_ms=20):
        self.fleet, self.workers, self.logs = fleet, [], []
        for program in ("orgimport-awssim", "orgimport-worker", "orgimport"):
            if not os.path.exists(os.path.join(fleet.bin, program)):
                skip(program + " is not built")
        subprocess.run([os.path.join(fleet.bin, "orgimport-dispatcher"), "--make-keys", "--keys=" + fleet.keys,
                        "--token-file=" + fleet.token_file], check=True, stdout=subprocess.DEVNULL)
        self.dispatcher = fleet.dispatcher()
        name = lambda file: os.path.join(fleet.dir, file)  # noqa: E731
        self.effects_file, self.customers, self.keys = name("effects.jsonl"), name("customers.csv"), name("keys.ini")
        self.operator, address = name("operator.ini"), name("sim.address")
        self.sim_log = open(name("sim.log"), "ab")
        self.sim = subprocess.Popen(
            [os.path.join(fleet.bin, "orgimport-awssim"), "--listen=127.0.0.1:0", "--address-file=" + address, "--orgs=%d" % orgs,
             "--seed=5", "--kinds=healthy", "--accounts-max=8", "--latency-ms=%d" % latency_ms, "--effects=" + self.effects_file,
             "--customers=" + self.customers, "--credentials=" + self.keys, "--operator-credentials=" + self.operator,
             "--people=http://" + self.dispatcher.address.replace("http://", ""), "--people-token-file=" + fleet.token_file,
             "--people-delay-ms=200"], stdout=self.sim_log, stderr=self.sim_log)
        until(lambda: os.path.exists(address) and os.path.exists(self.operator))
        self.endpoint = open(address, encoding="utf-8").read().strip()
        if not self.endpoint.startswith("http"):
            self.endpoint = "http://" + self.endpoint

    def worker(self, *flags):
        n = len(self.workers) + 1
        log = os.path.join(self.fleet.dir, "worker-%d.log" % n)
        self.logs.append(log)
        with open(log, "ab") as file:
            self.workers.append(subprocess.Popen(
                [os.path.join(self.fleet.bin, "orgimport-worker"), "--redis=unix://" + self.fleet.socket, "--keys=" + self.fleet.keys,
                 "--mode=sim", "--endpoints=" + self.endpoint, "--sim-credentials=" + self.operator, "--rate-scale-pct=100000",
                 "--lease-ms=%d" % LEASE_MS, "--call-timeout-ms=1500", "--settle-ms=1600", "--poll-ms=200", "--name=w%d" % n,
                 "--health-socket=" + self.socket(n), "--shards=%d" % self.fleet.shards, *flags], stdout=file, stderr=file))
        return n

    def socket(self, n):
        return os.path.join(self.fleet.dir, "w%d.sock" % n)

    def health(self, n):
        return subprocess.run([os.path.join(self.fleet.bin, "orgimport-worker"), "--health", "--health-socket=" + self.socket(n)],
                              capture_output=True, text=True, check=False, timeout=20)

    def submit(self):
        url = "http://" + self.dispatcher.address.replace("http://", "")
        done = subprocess.run([os.path.join(self.fleet.bin, "orgimport"), "import", self.customers, "--credentials", self.keys,
                               "--url=" + url, "--token-file=" + self.fleet.token_file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def imports(self):
        reply = self.dispatcher.get("/v1/imports?limit=100")
        return reply.json["data"] if reply.status == 200 else []  # 503 while Redis is away

    def wait_completed(self, orgs):
        states = lambda: collections.Counter(one["state"] for one in self.imports())  # noqa: E731
        try:
            until(lambda: states()["completed"] == orgs, PATIENCE)
        except AssertionError:
            raise AssertionError("imports are %s" % dict(states())) from None

    def effects(self):
        lines = [json.loads(line) for line in open(self.effects_file, encoding="utf-8") if line.endswith("\n")]
        return [one for one in lines if not one.get("repeat")]

    def check_end(self):
        """Nothing effective twice, nothing inconsistent in Redis."""
        times = collections.Counter((one["account"], one["op"], one["resource"]) for one in self.effects())
        twice = {key: n for key, n in times.items() if n > 1}
        assert not twice, twice
        audit = self.dispatcher.post("/v1/audit")
        assert audit.status == 200 and audit.json["faults"] == [], audit

    def end(self, n):
        worker = self.workers[n - 1]
        if worker.poll() is None:
            worker.terminate()
        code = worker.wait(60)
        text = open(self.logs[n - 1], encoding="utf-8", errors="replace").read()
        assert "Sanitizer" not in text and "runtime error" not in text, text[-4000:]
        return code

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
                worker.wait(20)
        self.sim.kill()
        self.sim.wait(20)
        self.sim_log.close()


def with_world(orgs):
    def wrap(test):
        def inner(fleet):
            world = World(fleet, orgs)
            try:
                test(world)
            except Exception:
                for log in world.logs:
                    print("----", log)
                    print(open(log, encoding="utf-8", errors="replace").read()[-3000:])
                raise
            finally:
                world.close()
        inner.__name__ = test.__name__
        return inner
    return wrap


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
    # The second one reaps the first one's session and takes its imports.
    until(lambda: world.fleet.cli("ZCARD", "f:{0}:sess") == "1" and world.health(second).returncode == 0, PATIENCE)
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


if __name__ == "__main__":
    tests = [refuses_what_cannot_work, drains_and_hands_back, a_stopped_worker_does_no_harm_when_it_wakes, goes_on_after_redis_died,
             cancel_and_pause_stop_at_a_call_boundary, opened_keys_end_with_the_import, (killed_workers_lose_nothing, 4)]
    name = lambda test: (test[0] if isinstance(test, tuple) else test).__name__  # noqa: E731
    run([test for test in tests if name(test) in sys.argv[2:] or len(sys.argv) == 2], sys.argv[1])
