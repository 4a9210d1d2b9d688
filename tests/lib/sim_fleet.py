"""A fleet with real workers beside a simulated AWS with people: what tests of the whole product start from."""
import collections
import json
import os
import subprocess

from fleet import every_import, skip, until

# Acts of people and of others; everything else in the effect log was signed by a worker.
WRITES = ("iam:", "s3:", "cur:", "tax:", "partnercentral:")


class SimFleet:
    def __init__(self, fleet, orgs, kinds="healthy", seed=5, people_delay_ms=100, latency_ms=2, flags=(), profile=None):
        self.fleet, self.workers = fleet, []
        for program in ("orgimport-awssim", "orgimport-worker", "orgimport"):
            if not os.path.exists(os.path.join(fleet.bin, program)):
                skip(program + " is not built")
        subprocess.run([os.path.join(fleet.bin, "orgimport-dispatcher"), "--make-keys", "--keys=" + fleet.keys,
                        "--token-file=" + fleet.token_file], check=True, stdout=subprocess.DEVNULL)
        self.dispatcher = fleet.dispatcher(*(["--profile=" + profile] if profile else []))
        self.url = "http://" + self.dispatcher.address.replace("http://", "")
        name = lambda file: os.path.join(fleet.dir, file)  # noqa: E731
        self.effects_file, self.customers, self.keys = name("effects.jsonl"), name("customers.csv"), name("keys.ini")
        self.operator, self.worlds_file, address = name("operator.ini"), name("worlds.json"), name("sim.address")
        self.sim_log = open(name("sim.log"), "ab")
        self.sim = subprocess.Popen(
            [os.path.join(fleet.bin, "orgimport-awssim"), "--listen=127.0.0.1:0", "--address-file=" + address, "--orgs=%d" % orgs,
             "--seed=%d" % seed, "--kinds=" + kinds, "--accounts-max=8", "--latency-ms=%d" % latency_ms, "--effects=" + self.effects_file,
             "--customers=" + self.customers, "--credentials=" + self.keys, "--operator-credentials=" + self.operator,
             "--worlds=" + self.worlds_file, "--people=" + self.url, "--people-token-file=" + fleet.token_file,
             "--people-delay-ms=%d" % people_delay_ms, *flags], stdout=self.sim_log, stderr=self.sim_log)
        fleet.others.append(self.sim)
        until(lambda: os.path.exists(address) and os.path.exists(self.operator) and os.path.exists(self.worlds_file))
        self.endpoint = open(address, encoding="utf-8").read().strip()
        if not self.endpoint.startswith("http"):
            self.endpoint = "http://" + self.endpoint

    def worker(self, *flags):
        n = len(self.workers) + 1
        log = open(os.path.join(self.fleet.dir, "worker-%d.log" % n), "ab")
        self.workers.append(subprocess.Popen(
            [os.path.join(self.fleet.bin, "orgimport-worker"), "--redis=unix://" + self.fleet.socket, "--keys=" + self.fleet.keys,
             "--mode=sim", "--endpoints=" + self.endpoint, "--sim-credentials=" + self.operator, "--rate-scale-pct=100000",
             "--settle-ms=4000", "--call-timeout-ms=1500", "--poll-ms=200", "--name=w%d" % n,
             "--health-socket=" + os.path.join(self.fleet.dir, "w%d.sock" % n), "--shards=%d" % self.fleet.shards, *flags],
            stdout=log, stderr=log))
        self.fleet.others.append(self.workers[-1])

    def cli(self, *words, timeout=90):
        return subprocess.run([os.path.join(self.fleet.bin, "orgimport"), *words, "--url=" + self.url,
                               "--token-file=" + self.fleet.token_file], capture_output=True, text=True, check=False, timeout=timeout,
                              env=dict(os.environ, ORGIMPORT_STATE_DIR=os.path.join(self.fleet.dir, "state")))

    def worlds(self):
        return json.load(open(self.worlds_file, encoding="utf-8"))

    def imports(self):
        return every_import(self.dispatcher)

    def wait(self, what, is_so, seconds=150):
        """Until is_so(imports); says where everything is when that never comes."""
        def look():
            imports = self.imports()
            return bool(imports) and is_so(imports)
        try:
            until(look, seconds)
        except AssertionError:
            where = collections.Counter((one["state"], (one["blocking"] or {}).get("step")) for one in self.imports())
            raise AssertionError("no %s: imports are %s" % (what, dict(where))) from None

    def effects(self):
        """Changes that workers made: not what people and the world did, not repetitions without an effect."""
        lines = [json.loads(line) for line in open(self.effects_file, encoding="utf-8") if line.endswith("\n")]
        return [one for one in lines if one["op"].startswith(WRITES) and one["request_id"] and not one["repeat"]]

    def ledger(self, import_id):
        lines, at = [], 0
        while True:
            page = self.dispatcher.get("/v1/imports/%s/ledger?from=%d&limit=2000" % (import_id, at)).json["data"]
            lines += page
            at += len(page)
            if not page:
                return lines

    def stop(self):
        for process in [*self.workers, self.sim]:
            if process.poll() is None:
                process.terminate()
        for process in [*self.workers, self.sim]:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.sim_log.close()
        for n in range(len(self.workers)):
            text = open(os.path.join(self.fleet.dir, "worker-%d.log" % (n + 1)), encoding="utf-8", errors="replace").read()
            assert "Sanitizer" not in text and "runtime error" not in text, text[-4000:]
