"""The processes of a chaos run, each behind the proxy, each started again when it ends: Redis (and its replica), the simulated AWS,
dispatchers, drill workers, the one who submits and the one who watches."""
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from fleet import SOURCE, until  # noqa: E402
import chaos_schedule as rules  # noqa: E402

READY_S = 60
START_S = 0.1  # until a process listens to signals, on a quiet machine


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    def __init__(self, program, log):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)

    def say(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer and answer != "error", ("proxy", words, answer, self.process.poll())
        return answer

    def stats(self):
        return json.loads(self.say("stats"))


class Redis:
    """A redis-server with a folder of its own; started again it has the same append-only file."""

    def __init__(self, folder, log):
        self.port, self.dir, self.log, self.process = free_port(), folder, log, None
        os.makedirs(folder)

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def start(self, replica_of=None):
        more = ["--replicaof", *replica_of.split(":")] if replica_of else []
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
             "--maxmemory-policy", "noeviction", "--dir", self.dir, "--repl-diskless-sync-delay", "0", "--repl-timeout", "5", "--loglevel",
             "notice", *more], stdout=self.log, stderr=self.log)

    def cli(self, *words):
        run = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=False, timeout=30)
        return run.stdout.strip()

    def wait(self):
        until(lambda: self.process.poll() is None and self.cli("PING") == "PONG", READY_S)

    def wait_synced(self):
        until(lambda: "master_link_status:up" in self.cli("INFO", "replication"), READY_S)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Member:
    """A process that its supervisor starts again; who kills it says when."""

    def __init__(self, name, command, log, env=None):
        self.name, self.command, self.log, self.env = name, command, log, env
        self.process, self.start_at, self.starts, self.own_ends, self.doomed_ms = None, 0, 0, {}, None
        self.began_at, self.start_s = None, None  # of the last start: until it listened

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env=self.env)
        self.starts += 1
        self.start_at, self.doomed_ms, self.began_at = None, None, time.monotonic()

    def send(self, number):
        if not self.is_alive():
            return False
        self.process.send_signal(number)
        return True

    def kill(self, down_ms):
        is_hit = self.send(signal.SIGKILL)
        self.process.wait()
        self.start_at = time.monotonic() + down_ms / 1000
        return is_hit

    def doom(self, down_ms):
        """The proxy will kill it when it has what it waits for."""
        self.doomed_ms = down_ms

    def listens(self):
        """Whether it has come so far that SIGTERM drains it: before that the signal just ends a process that holds nothing."""
        try:
            text = open("/proc/%d/status" % self.process.pid, encoding="ascii").read()
        except OSError:
            return False
        return bool(int(text.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGTERM - 1) & 1)

    def ended_well(self):
        """Drained; or could not start without Redis, and said so."""
        return self.process.returncode in (0, 2)

    def supervise(self):
        """A worker that found no Redis says so and ends: whoever runs it starts it again."""
        if self.start_at is None and not self.is_alive():
            is_doomed = self.doomed_ms is not None and self.process.returncode == -signal.SIGKILL
            if not is_doomed and not self.ended_well():
                self.own_ends[self.process.returncode] = self.own_ends.get(self.process.returncode, 0) + 1
            self.start_at = time.monotonic() + (self.doomed_ms / 1000 if is_doomed else 0.3)
        if self.start_at is not None and time.monotonic() >= self.start_at:
            self.start()
        if self.began_at is not None and self.listens():
            self.start_s, self.began_at = time.monotonic() - self.began_at, None


class ChaosFleet:
    def __init__(self, bin_dir, options):
        self.bin, self.options = os.path.abspath(bin_dir), options
        self.dir = tempfile.mkdtemp(prefix="orgimport-chaos-")
        self.log = open(self.file("other.log"), "ab")
        self.proxy = Proxy(self.program("chaos_proxy"), self.log)
        self.members, self.redis_count, self.clocks, self.tools = {}, 0, {}, []
        self.start_redis()
        self.start_awssim()
        names = ["w%d" % (n + 1) for n in range(options.workers)] + ["d1", "d2"]
        self.redis_routes = ["redis-" + name for name in [*names, "submit", "watch"]]
        self.redis_ports = {route: self.proxy.say("listen", route, self.redis.address) for route in self.redis_routes}
        for name in ("d1", "d2"):
            self.add_dispatcher(name)
        for name in names[:options.workers]:
            self.add_worker(name)

    def file(self, name):
        return os.path.join(self.dir, name)

    def program(self, name):
        return os.path.join(self.bin, name)

    def url(self, name):
        return "redis://127.0.0.1:" + self.redis_ports["redis-" + name]

    # ---- Redis
    def new_redis(self):
        self.redis_count += 1
        return Redis(self.file("redis-%d" % self.redis_count), open(self.file("redis-%d.log" % self.redis_count), "ab"))

    def start_redis(self):
        self.redis, self.replica = self.new_redis(), None
        self.redis.start()
        self.redis.wait()
        if self.options.redis == "replica":
            self.proxy_repl = self.proxy.say("listen", "repl", self.redis.address)
            self.add_replica()

    def add_replica(self):
        self.replica = self.new_redis()
        self.replica.start("127.0.0.1:" + self.proxy_repl)
        self.replica.wait()
        self.replica.wait_synced()

    def fail_over(self):
        """The primary is dead: its replica takes over, and a new one follows."""
        old, self.redis = self.redis, self.replica
        until(lambda: self.redis.cli("REPLICAOF", "NO", "ONE") == "OK", READY_S)
        for route in self.redis_routes:
            self.proxy.say("to", route, self.redis.address)
        self.proxy.say("heal", "repl")
        self.proxy.say("to", "repl", self.redis.address)
        shutil.rmtree(old.dir, ignore_errors=True)
        self.add_replica()

    # ---- AWS
    def start_awssim(self):
        o, name = self.options, self.file
        keys = ["--make-keys", "--keys=" + name("keys"), "--token-file=" + name("token")]
        subprocess.run([self.program("orgimport-dispatcher"), *keys], check=True, stdout=subprocess.DEVNULL)
        self.sim = subprocess.Popen(
            [self.program("orgimport-awssim"), "--orgs=%d" % o.orgs, "--seed=%d" % (o.seed % 1000), "--kinds=admin_by_group",
             "--accounts-max=2", "--address-file=" + name("sim"), "--effects=" + name("effects"), "--worlds=" + name("worlds"),
             "--credentials=" + name("keys.ini"), "--operator-credentials=" + name("operator.ini"),
             "--signature-life-ms=%d" % rules.SIGNATURE_LIFE_MS], stdout=self.log, stderr=self.log)
        until(lambda: os.path.exists(name("sim")), READY_S)
        self.sim_address = open(name("sim"), encoding="utf-8").read().strip().replace("http://", "")

    def ask_sim(self, path, body=None):
        connection = http.client.HTTPConnection(self.sim_address, timeout=30)
        try:
            connection.request("POST" if body is not None else "GET", path, json.dumps(body) if body is not None else None)
            reply = connection.getresponse()
            text = reply.read().decode()
            assert reply.status == 200, (path, body, reply.status, text)
            return json.loads(text)
        finally:
            connection.close()

    def set_faults(self, faults):
        self.ask_sim("/_sim/faults", faults)

    # ---- Members
    def add_dispatcher(self, name):
        log = open(self.file(name + ".log"), "ab")
        member = self.members[name] = Member(name, [
            self.program("orgimport-dispatcher"), "--redis=" + self.url(name), "--mode=sim", "--listen=127.0.0.1:0", "--keys=" + self.file("keys"),
            "--token-file=" + self.file("token"), "--shards=%d" % self.options.shards], log)
        member.start()

    def add_worker(self, name):
        aws = self.proxy.say("listen", "aws-" + name, self.sim_address)
        clock = self.clocks[name] = self.file(name + ".clock")
        with open(clock, "wb") as file:
            file.write(struct.pack("<q", 0))
        env = dict(os.environ, LD_PRELOAD=self.program("chaos_clock.so"), CHAOS_CLOCK=clock)
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + env.get("ASAN_OPTIONS", "")
        self.members[name] = Member(name, [
            self.program("orgimport-drill-worker"), "--redis=" + self.url(name), "--keys=" + self.file("keys"), "--mode=sim",
            "--endpoints=http://127.0.0.1:" + aws, "--sim-credentials=" + self.file("operator.ini"), "--rate-scale-pct=%d" % rules.RATE_SCALE_PCT,
            "--shards=%d" % self.options.shards, "--name=" + name, "--lease-ms=%d" % rules.LEASE_MS, "--log-level=warn",
            "--call-timeout-ms=%d" % rules.CALL_TIMEOUT_MS, "--settle-ms=%d" % rules.SETTLE_MS, "--drain-ms=3000"],
            open(self.file(name + ".log"), "ab"), env)
        self.members[name].start()

    def set_clock(self, name, offset_ms):
        with open(self.clocks[name], "r+b") as file:
            file.write(struct.pack("<q", offset_ms * 1000000))

    def tool(self, name, *flags, out=None):
        url = self.url("submit" if name == "drill_submit" else "watch")
        self.tools.append(subprocess.Popen([self.program(name), "--redis=" + url, "--shards=%d" % self.options.shards, *flags],
                                           stdout=out or subprocess.PIPE, stderr=self.log, text=True))
        return self.tools[-1]

    def playbook(self):
        return os.path.join(SOURCE, "tests/drill/playbooks/drill-chaos.json")

    def slowness(self):
        """How much slower than a quiet machine this one is now (sanitizers, neighbours): by how long a process takes to start."""
        known = [member.start_s for member in self.members.values() if member.start_s is not None]
        return max(1.0, sum(known) / len(known) / START_S) if known else 1.0

    # ---- The end
    def heal(self):
        """Everybody runs, every way is open, every clock is right."""
        for route in [*self.redis_routes, *["aws-" + name for name in self.clocks]]:
            self.proxy.say("heal", route)
        for name in self.clocks:
            self.set_clock(name, 0)
        self.set_faults({"preset": "none"})
        for member in self.members.values():
            member.send(signal.SIGCONT)
        self.redis.process.send_signal(signal.SIGCONT)

    def drain(self):
        """SIGTERM to all; gives what did not end well: {name: exit code}."""
        bad = {}
        for member in self.members.values():
            if not member.is_alive():
                member.start()
            until(lambda m=member: m.listens() or not m.is_alive(), READY_S)
            member.send(signal.SIGTERM)
        for member in self.members.values():
            try:
                member.process.wait(30)
                if not member.ended_well():
                    bad[member.name] = member.process.returncode
            except subprocess.TimeoutExpired:
                member.process.kill()
                bad[member.name] = "no end in 30 s"
        return bad

    def product_faults(self):
        """What sanitizers and asserts said, and ends that no signal of ours explains."""
        found = ["%s ended by itself with %s, %d times" % (m.name, code, n) for m in self.members.values()
                 for code, n in m.own_ends.items()]
        for name in os.listdir(self.dir):
            if not name.endswith(".log") or name.startswith("redis"):
                continue
            for line in open(self.file(name), encoding="utf-8", errors="replace"):
                if "Sanitizer" in line or "runtime error" in line or "assert" in line.lower():
                    found.append("%s: %s" % (name, line.strip()[:300]))
                    break
        return found

    def close(self, keep):
        for member in self.members.values():
            if member.is_alive():
                member.process.kill()
                member.process.wait()
        for process in [*self.tools, self.sim, self.redis.process, self.replica.process if self.replica else None, self.proxy.process]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if keep:
            print("kept: " + self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
