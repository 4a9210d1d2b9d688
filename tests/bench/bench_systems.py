"""Who is compared. Each fills the same Redis with the same amount of work and then works it off; the clock runs from the moment when
its processes are connected and may begin to the moment of the last finished step."""
import json
import os
import selectors
import subprocess
import tempfile
import time

from bench_redis import cpu_of

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PLAYBOOKS = os.path.join(SOURCE, "tests/drill/playbooks")
PATIENCE_S = 300


class Run:
    """What one run of one system gave."""

    def __init__(self, steps, seconds, redis_us, client_us, fill_s, memory):
        self.steps_per_s = steps / seconds
        self.redis_us = redis_us / steps
        self.client_us = client_us / steps
        self.fill_per_s = steps / fill_s
        self.bytes_per_step = memory / steps


class Shape:
    """`jobs` of a peer are imports of ours in the shapes product and single; in wide a job is one of an import's steps."""

    def __init__(self, name, imports, steps, playbook):
        self.name, self.imports, self.steps, self.playbook = name, imports, steps, playbook

    @property
    def total(self):
        return self.imports * self.steps


def shapes(scale):
    """A playbook's own numbers, so that a change of it does not go unnoticed."""
    def steps_of(name):
        return len(json.load(open(os.path.join(PLAYBOOKS, name), encoding="utf-8"))["steps"])
    return {"product": Shape("product", int(1000 * scale), steps_of("drill-noop.json"), os.path.join(PLAYBOOKS, "drill-noop.json")),
            "wide": Shape("wide", int(1000 * scale), steps_of("drill-wide.json"), os.path.join(PLAYBOOKS, "drill-wide.json")),
            "single": Shape("single", int(10000 * scale), 1, None)}


class Ours:
    """orgimport-drill-worker: the product's worker, with steps that do nothing. Ledger, journals, events and fences as always."""
    name = "orgimport"

    def __init__(self, bin_dir, work_dir):
        self.bin, self.dir = bin_dir, work_dir
        self.keys = os.path.join(work_dir, "keys")
        subprocess.run([self.program("orgimport-dispatcher"), "--make-keys", "--keys=" + self.keys, "--token-file=" + os.path.join(work_dir, "token")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.credentials = os.path.join(work_dir, "operator.ini")
        with open(self.credentials, "w", encoding="utf-8") as f:
            f.write("[operator]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = none\n")
        os.chmod(self.credentials, 0o600)
        self.single = os.path.join(work_dir, "single.json")
        noop = json.load(open(os.path.join(PLAYBOOKS, "drill-noop.json"), encoding="utf-8"))
        json.dump({**noop, "name": "drill-single", "title": "One step that does nothing", "steps": noop["steps"][:1]},
                  open(self.single, "w", encoding="utf-8"))

    def program(self, name):
        return os.path.join(self.bin, name)

    def playbook(self, shape):
        return shape.playbook or self.single

    def settings(self, redis, shards):
        return ["--redis=" + redis.url, "--shards=%d" % shards, "--durability=relaxed"]

    def worker(self, redis, shards=1, *more):
        """Relaxed only in that `everysec` is said to be weaker; nothing is left out."""
        return subprocess.Popen([self.program("orgimport-drill-worker"), *self.settings(redis, shards), "--keys=" + self.keys, "--mode=sim",
                                 "--endpoints=http://127.0.0.1:9", "--sim-credentials=" + self.credentials, "--log-level=warn", *more],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def submit(self, redis, shape, shards=1):
        done = subprocess.run([self.program("drill_submit"), *self.settings(redis, shards), "--playbook=" + self.playbook(shape),
                               "--imports=%d" % shape.imports], check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])["ms"] / 1000

    @staticmethod
    def count(redis, shards, key):
        return sum(redis("ZCARD", "f:{%d}:%s" % (s, key)) for s in range(shards))

    def run(self, redis, shape, workers=1, shards=1):
        empty = redis.memory()
        fill_s = self.submit(redis, shape, shards)
        memory = redis.memory() - empty
        redis_us, workers = redis.cpu_us(), [self.worker(redis, shards) for _ in range(workers)]
        try:
            end = time.monotonic() + PATIENCE_S
            while self.count(redis, shards, "sess") < shards * len(workers):
                time.sleep(0.002)
            began = time.monotonic()
            while self.count(redis, shards, "ix:completed") < shape.imports:
                time.sleep(0.01)
                assert time.monotonic() < end and all(w.poll() is None for w in workers), "our own worker did not come to an end"
            seconds = time.monotonic() - began
            return Run(shape.total, seconds, redis.cpu_us() - redis_us, sum(cpu_of(w.pid) for w in workers), fill_s, memory)
        finally:
            for w in workers:
                w.kill()
                w.wait()


class Peer:
    """A system whose programs say READY, wait for a line, and then tell how many steps are done, and when (peers/common.js)."""
    modes = {"product": ("chain",), "wide": ("wide",), "single": ("wide",)}
    concurrencies, process_counts = (100,), (1, 2)

    def __init__(self, peers_dir):
        self.dir = peers_dir
        self.best = {}

    def env(self, redis):
        return {**os.environ, "NODE_PATH": os.path.join(self.dir, "node_modules"), "BENCH_COMMON": os.path.join(HERE, "peers/common.js"),
                "BENCH_REDIS": redis.url}

    def jobs(self, shape):
        return shape.imports if shape.name == "product" else shape.total

    def fill(self, redis, shape, mode):
        done = subprocess.run(self.add_command(redis, mode, self.jobs(shape), shape.steps), check=True, capture_output=True, text=True,
                              env=self.env(redis))
        return json.loads(done.stdout.splitlines()[-1])["ms"] / 1000

    def run(self, redis, shape, mode, processes, concurrency):
        empty = redis.memory()
        fill_s = self.fill(redis, shape, mode)
        memory = redis.memory() - empty
        workers = [subprocess.Popen(self.work_command(redis, mode, concurrency), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, env=self.env(redis), bufsize=0) for _ in range(processes)]
        try:
            for w in workers:
                while w.stdout.readline().strip() != b"READY":
                    assert w.poll() is None, "%s did not start" % self.name
            redis_us, client_us, began = redis.cpu_us(), sum(cpu_of(w.pid) for w in workers), time.time()
            for w in workers:
                w.stdin.write(b"GO\n")
            last = self.wait(workers, shape.total)
            return Run(shape.total, last - began, redis.cpu_us() - redis_us, sum(cpu_of(w.pid) for w in workers) - client_us, fill_s,
                       memory if mode != "chain" else memory * shape.steps)
        finally:
            for w in workers:
                w.kill()
                w.wait()
                w.stdin.close()
                w.stdout.close()

    def wait(self, workers, total):
        done, tails, at, end = [0] * len(workers), [b""] * len(workers), 0, time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            for n, w in enumerate(workers):
                selector.register(w.stdout, selectors.EVENT_READ, n)
            while sum(done) < total:
                assert time.monotonic() < end, "%s did not come to an end: %s of %d" % (self.name, done, total)
                for key, _ in selector.select(1):
                    n = key.data
                    *lines, tails[n] = (tails[n] + os.read(key.fd, 65536)).split(b"\n")
                    for line in lines:
                        done[n], at = int(line.split()[0]), max(at, int(line.split()[1]) / 1000)
        return at

    def candidates(self, shape):
        return [(mode, p, c) for mode in self.modes[shape.name] for p in self.process_counts for c in self.concurrencies]

    def tune(self, redis, shape, fsync):
        """Its own fastest way on this machine, looked for with a tenth of the work; kept for all rounds."""
        small = Shape(shape.name, max(shape.imports // 10, 50), shape.steps, shape.playbook)
        tried = []
        for way in self.candidates(shape):
            redis.fresh(fsync)
            tried.append((self.run(redis, small, *way).steps_per_s, way))
        self.best[shape.name, fsync] = max(tried)[1]
        return tried

    def run_best(self, redis, shape, fsync):
        return self.run(redis, shape, *self.best[shape.name, fsync])


class NodePeer(Peer):
    def __init__(self, peers_dir):
        super().__init__(peers_dir)
        package = json.load(open(os.path.join(peers_dir, "node_modules", self.package, "package.json"), encoding="utf-8"))
        self.version = package["version"]

    def script(self):
        return os.path.join(HERE, "peers", self.file)

    def add_command(self, redis, mode, count, steps):
        return ["node", self.script(), "add", redis.url, mode, str(count), str(steps)]

    def work_command(self, redis, mode, concurrency):
        return ["node", self.script(), "work", redis.url, mode, str(concurrency)]


class Bullmq(NodePeer):
    name, package, file = "bullmq", "bullmq", "bullmq.js"
    modes = {"product": ("chain", "flow"), "wide": ("wide",), "single": ("wide",)}
    concurrencies = (100, 300)


class BeeQueue(NodePeer):
    name, package, file = "bee_queue", "bee-queue", "bee_queue.js"
    concurrencies = (100, 300)


class Sidekiq(Peer):
    name = "sidekiq"
    concurrencies = (10, 25)

    def __init__(self, peers_dir):
        super().__init__(peers_dir)
        self.version = subprocess.run(["sidekiq", "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]

    def add_command(self, redis, mode, count, steps):
        return ["ruby", os.path.join(HERE, "peers/sidekiq_add.rb"), mode, str(count), str(steps)]

    def work_command(self, redis, mode, concurrency):
        return ["sidekiq", "-c", str(concurrency), "-r", os.path.join(HERE, "peers/sidekiq_job.rb")]


def installed(peers_dir):
    """Those that are here, and a sentence for each that is not."""
    found, missing = [], []
    for kind in (Bullmq, BeeQueue, Sidekiq):
        try:
            found.append(kind(peers_dir))
        except (OSError, subprocess.CalledProcessError) as e:
            missing.append("%s is not installed (%s)" % (kind.name, e))
    return found, missing


def scratch():
    return tempfile.mkdtemp(prefix="orgimport-bench-")
