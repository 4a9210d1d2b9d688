"""The product's worker with the steps of a drill (tests/drill), a simulated AWS that counts what takes effect, and whatever Redis one names:
what tests of Redis in trouble work with."""
import json
import os
import shutil
import subprocess
import tempfile

from fleet import SOURCE, skip, until

PLAYBOOK = os.path.join(SOURCE, "tests/drill/playbooks/drill-mixed.json")
SETTLE_MS, SIGN_WITHIN_MS = 1600, 1000  # the second as the worker has it with a simulated AWS
WRITES = 10  # of one import of that playbook


class DrillFleet:
    def __init__(self, bin_dir, url, shards, orgs=20, latency_ms=5, flags=()):
        self.bin, self.url, self.shards, self.flags = os.path.abspath(bin_dir), url, shards, list(flags)
        self.dir = tempfile.mkdtemp(prefix="orgimport-drill-")
        self.log, self.processes, self.sim, self.submitting, self.submitted = open(self.file("log"), "ab"), [], None, [], 0
        if not os.path.exists(self.program("orgimport-drill-worker")):
            skip("orgimport-drill-worker is not built")
        subprocess.run([self.program("orgimport-dispatcher"), "--make-keys", "--keys=" + self.file("keys"), "--token-file=" + self.file("token")],
                       check=True, stdout=subprocess.DEVNULL)
        self.sim = subprocess.Popen(
            [self.program("orgimport-awssim"), "--orgs=%d" % orgs, "--seed=5", "--kinds=admin_by_group", "--accounts-max=2",
             "--latency-ms=%d" % latency_ms, "--address-file=" + self.file("sim"), "--effects=" + self.file("effects"),
             "--worlds=" + self.file("worlds"), "--credentials=" + self.file("keys.ini"),
             "--operator-credentials=" + self.file("operator.ini")], stdout=self.log, stderr=self.log)
        until(lambda: all(os.path.exists(self.file(name)) for name in ("sim", "worlds", "keys.ini", "operator.ini")))

    def file(self, name):
        return os.path.join(self.dir, name)

    def program(self, name):
        return os.path.join(self.bin, name)

    def worker(self, *more):
        address = open(self.file("sim"), encoding="utf-8").read().strip()
        name = "w%d" % (len(self.processes) + 1)
        self.processes.append(subprocess.Popen(
            [self.program("orgimport-drill-worker"), "--redis=" + self.url, "--keys=" + self.file("keys"), "--mode=sim",
             "--endpoints=" + (address if address.startswith("http") else "http://" + address),
             "--sim-credentials=" + self.file("operator.ini"), "--rate-scale-pct=100000", "--shards=%d" % self.shards, "--name=" + name,
             "--lease-ms=15000", "--log-level=warn", "--settle-ms=%d" % SETTLE_MS, "--call-timeout-ms=1500", "--drain-ms=3000",
             *self.flags, *more], stdout=self.log, stderr=open(self.file(name + ".log"), "ab")))
        return self.processes[-1]

    def submit(self, count, *more):
        """In the background, until each has been accepted."""
        self.submitted += count
        self.submitting.append(subprocess.Popen(
            [self.program("drill_submit"), "--redis=" + self.url, "--shards=%d" % self.shards, "--playbook=" + PLAYBOOK, "--imports=%d" % count,
             "--ids=" + self.file("ids"), "--worlds=" + self.file("worlds"), "--credentials=" + self.file("keys.ini"),
             "--keys=" + self.file("keys"), *self.flags, *more], stdout=self.log, stderr=self.log))

    def lines(self, name):
        if not os.path.exists(self.file(name)):
            return []
        return [line for line in open(self.file(name), encoding="utf-8", errors="replace") if line.endswith("\n")]

    def accepted(self):
        return len(self.lines("ids"))

    def effects(self):
        return len(self.lines("effects"))

    def said(self, text):
        """How often the workers logged that."""
        return sum(text in line for n in range(len(self.processes)) for line in self.lines("w%d.log" % (n + 1)))

    def tool(self, name, *more, flags=()):
        run = subprocess.run([self.program(name), "--redis=" + self.url, "--shards=%d" % self.shards, *more, *self.flags, *flags],
                             capture_output=True, text=True, check=False, timeout=60)
        return run.returncode, run.stdout.strip() or run.stderr.strip()

    def audit(self):
        code, text = self.tool("drill_audit")
        assert code == 0, (code, text[:3000])
        return json.loads(text)["checked"]

    def check(self):
        """Nothing lost, nothing twice: ids, steps and effects against what the playbook says."""
        return self.tool("chaos_check", "--ids=" + self.file("ids"), "--effects=" + self.file("effects"), "--playbook=" + PLAYBOOK,
                         "--settle-ms=%d" % SETTLE_MS, "--sign-within-ms=%d" % SIGN_WITHIN_MS)

    def wait_done(self, seconds=60):
        until(lambda: all(one.poll() is not None for one in self.submitting), seconds)
        assert self.accepted() == self.submitted and not any(one.returncode for one in self.submitting), (self.accepted(), self.tail("log"))
        try: # the cheap question first
            until(lambda: self.effects() >= WRITES * self.submitted, seconds)
            until(lambda: self.check()[0] == 0, seconds, every=0.5)
        except AssertionError:
            raise AssertionError("not all is done, or not once: %s\n%s" % (self.check()[1][:3000], self.tail("w1.log"))) from None
        assert self.audit() == self.submitted

    @classmethod
    def play(cls, bin_dir, servers, shards, scenes):
        """Two workers on `servers`; each scene(servers, fleet) in turn; then all that was accepted is done, each write once."""
        fleet = None
        try:
            fleet = cls(bin_dir, servers.url, shards)
            fleet.worker()
            fleet.worker()
            for scene in scenes:
                scene(servers, fleet)
                print("ok  ", scene.__name__)
            fleet.wait_done()
            fleet.drain()
            print("ok   all %d imports are done, each write once" % fleet.submitted)
        finally:
            if fleet:
                fleet.close()
            servers.close()

    def tail(self, name):
        return open(self.file(name), encoding="utf-8", errors="replace").read()[-3000:]

    def drain(self):
        """Every worker ends well when told to, and no sanitizer has said anything."""
        for one in self.processes:
            one.terminate()
        for n, one in enumerate(self.processes):
            code = one.wait(30)
            text = open(self.file("w%d.log" % (n + 1)), encoding="utf-8", errors="replace").read()
            assert code == 0 and "Sanitizer" not in text and "runtime error" not in text, (code, text[-3000:])

    def close(self):
        for one in [*self.processes, *self.submitting, self.sim]:
            if one and one.poll() is None:
                one.kill()
                one.wait(10)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
