"""A simulated AWS with people beside a private fleet, and real workers: for tests of whole imports that break one thing."""
import collections
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

from fleet import every_import, skip, until

LEASE_MS = 3000
PATIENCE = 150


class World:
    """awssim with people, beside a fleet; real workers; customers submitted through the command line."""

    def __init__(self, fleet, orgs, latency_ms=20, kinds="healthy", accounts_max=8, seed=5, flags=()):
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
             "--seed=%d" % seed, "--kinds=" + kinds, "--accounts-max=%d" % accounts_max, "--latency-ms=%d" % latency_ms, "--effects=" + self.effects_file,
             "--customers=" + self.customers, "--credentials=" + self.keys, "--operator-credentials=" + self.operator,
             "--people=http://" + self.dispatcher.address.replace("http://", ""), "--people-token-file=" + fleet.token_file,
             "--people-delay-ms=200", *flags], stdout=self.sim_log, stderr=self.sim_log)
        fleet.others.append(self.sim)
        until(lambda: os.path.exists(address) and os.path.exists(self.operator))
        self.endpoint = open(address, encoding="utf-8").read().strip()
        if not self.endpoint.startswith("http"):
            self.endpoint = "http://" + self.endpoint

    def sim_ask(self, path, body=None):
        """The simulator's own door: worlds, acts, faults."""
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.endpoint + "/_sim/" + path, data=data), timeout=60) as answer:
            return json.loads(answer.read())

    def act(self, management_account, what, **args):
        try:
            said = self.sim_ask("world/%s/act" % management_account, {"what": what, "args": args})
        except urllib.error.HTTPError as why:
            said = json.loads(why.read())
        assert said.get("done"), (what, said)

    def worker(self, *flags, redis=None, lease_ms=LEASE_MS, endpoints=None, env=None, rate=100000):
        n = len(self.workers) + 1
        log = os.path.join(self.fleet.dir, "worker-%d.log" % n)
        self.logs.append(log)
        with open(log, "ab") as file:
            self.workers.append(subprocess.Popen(
                [os.path.join(self.fleet.bin, "orgimport-worker"), "--redis=unix://" + (redis or self.fleet.socket), "--keys=" + self.fleet.keys,
                 "--mode=sim", "--endpoints=" + (endpoints or self.endpoint), "--sim-credentials=" + self.operator, "--rate-scale-pct=%d" % rate,
                 "--lease-ms=%d" % lease_ms, "--call-timeout-ms=1500", "--settle-ms=4000", "--poll-ms=200", "--name=w%d" % n,
                 "--health-socket=" + self.socket(n), "--shards=%d" % self.fleet.shards, *flags], stdout=file, stderr=file,
                env=dict(os.environ, **(env or {}))))
        self.fleet.others.append(self.workers[-1])
        return n

    def socket(self, n):
        return os.path.join(self.fleet.dir, "w%d.sock" % n)

    def health(self, n):
        return subprocess.run([os.path.join(self.fleet.bin, "orgimport-worker"), "--health", "--health-socket=" + self.socket(n)],
                              capture_output=True, text=True, check=False, timeout=20)

    def submit(self, customers=None, keys=None):
        url = "http://" + self.dispatcher.address.replace("http://", "")
        done = subprocess.run([os.path.join(self.fleet.bin, "orgimport"), "import", customers or self.customers, "--credentials",
                               keys or self.keys, "--url=" + url, "--token-file=" + self.fleet.token_file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def submit_again(self, refs, seconds=PATIENCE):
        """Customers that came before, once more: under other names, with new keys, since the first ones are gone. Gives the ids."""
        customers, keys = (os.path.join(self.fleet.dir, "again." + kind) for kind in ("csv", "ini"))
        with open(self.customers, encoding="utf-8") as file:
            rows = file.read().splitlines()
        kept = [row.replace(row.split(",")[0], row.split(",")[0] + "-again", 1) for row in rows[1:] if row.split(",")[0] in refs]
        with open(customers, "w", encoding="utf-8") as file:
            file.write("\n".join([rows[0]] + kept) + "\n")
        for one in self.sim_ask("worlds"):
            if one.get("external_ref") in refs and one.get("access_key_id"):
                self.act(one["account"], "customer.new_key")
        with open(keys, "w", encoding="utf-8") as file:
            for one in self.sim_ask("worlds"):
                if one.get("external_ref") in refs and one.get("access_key_id"):
                    file.write("[%s-again]\naws_access_key_id = %s\naws_secret_access_key = %s\n" % (
                        one["external_ref"], one["access_key_id"], one["secret_access_key"]))
        os.chmod(keys, 0o600)
        self.submit(customers, keys)
        again = lambda: [one["id"] for one in self.imports() if one["external_ref"].endswith("-again")]  # noqa: E731
        return until(lambda: len(again()) == len(kept) and again(), seconds, 0.3)

    def imports(self):
        return every_import(self.dispatcher)

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
        self.check_audit()

    def check_audit(self):
        """It looks at every import; a busy machine may need longer for hundreds than a request may take, and then it says so."""
        audit = until(lambda: next((one for one in [self.dispatcher.post("/v1/audit", timeout=60)] if one.status != 503), None), PATIENCE)
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


def with_world(orgs, **more):
    def wrap(test):
        def inner(fleet):
            world = World(fleet, orgs, **more)
            try:
                test(world)
            except Exception:
                for log in [*world.logs, world.sim_log.name]:
                    print("----", log)
                    print(open(log, encoding="utf-8", errors="replace").read()[-3000:])
                raise
            finally:
                world.close()
        inner.__name__ = test.__name__
        return inner
    return wrap
