"""The drill worker plays its playbooks through the product's own runtime: every import ends, every write is there once."""
import collections
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from fleet import SOURCE, run, skip, until  # noqa: E402


class Drill:
    """awssim with key organizations, one dispatcher for the timers, one drill worker."""

    def __init__(self, fleet, orgs, *flags):
        self.fleet = fleet
        program = lambda name: os.path.join(fleet.bin, name)  # noqa: E731
        file = self.file = lambda name: os.path.join(fleet.dir, name)  # noqa: E731
        if not os.path.exists(program("orgimport-drill-worker")):
            skip("orgimport-drill-worker is not built")
        subprocess.run([program("orgimport-dispatcher"), "--make-keys", "--keys=" + fleet.keys, "--token-file=" + fleet.token_file],
                       check=True, stdout=subprocess.DEVNULL)
        fleet.dispatcher()
        self.log = open(file("drill.log"), "ab")
        self.sim = subprocess.Popen(
            [program("orgimport-awssim"), "--orgs=%d" % orgs, "--kinds=admin_by_group", "--accounts-max=2", "--address-file=" + file("sim"),
             "--effects=" + file("effects"), "--worlds=" + file("worlds"), "--credentials=" + file("keys.ini"),
             "--operator-credentials=" + file("operator.ini")], stdout=self.log, stderr=self.log)
        endpoint = until(lambda: os.path.exists(file("sim")) and open(file("sim"), encoding="utf-8").read().strip())
        self.worker = subprocess.Popen(
            [program("orgimport-drill-worker"), "--redis=unix://" + fleet.socket, "--keys=" + fleet.keys, "--mode=sim",
             "--endpoints=" + endpoint, "--sim-credentials=" + file("operator.ini"), "--rate-scale-pct=100000",
             "--shards=%d" % fleet.shards, *flags], stdout=self.log, stderr=self.log)

    def tool(self, name, *flags):
        run_ = subprocess.run([os.path.join(self.fleet.bin, name), "--redis=unix://" + self.fleet.socket, "--shards=%d" % self.fleet.shards,
                               *flags], capture_output=True, text=True, check=False, timeout=120)
        return run_.returncode, run_.stdout, run_.stderr

    def submit(self, playbook, imports, *flags):
        code, out, err = self.tool("drill_submit", "--playbook=%s/tests/drill/playbooks/%s.json" % (SOURCE, playbook),
                                   "--imports=%d" % imports, "--ids=" + self.file(playbook + ".ids"), *flags)
        assert code == 0 and json.loads(out)["submitted"] == imports, (code, out, err)
        return [line.split()[0] for line in open(self.file(playbook + ".ids"), encoding="utf-8")]

    def completed(self, count):
        shards = range(self.fleet.shards)
        return sum(int(self.fleet.cli("ZCARD", "f:{%d}:ix:completed" % s)) for s in shards) == count

    def close(self):
        for process in (self.worker, self.sim):
            process.terminate()
            process.wait(30)
        self.log.close()
        text = open(self.log.name, encoding="utf-8", errors="replace").read()
        assert "Sanitizer" not in text and "runtime error" not in text, text[-4000:]
        assert self.worker.returncode == 0, self.worker.returncode


def plays_every_playbook_and_writes_once(fleet):
    drill = Drill(fleet, orgs=3)
    worlds = ("--worlds=" + drill.file("worlds"), "--credentials=" + drill.file("keys.ini"), "--keys=" + fleet.keys)
    drill.submit("drill-noop", 20)
    drill.submit("drill-wide", 10)
    write = drill.submit("drill-write", 6, *worlds)  # two waves: one open import per organization
    mixed = drill.submit("drill-mixed", 3, *worlds)
    until(lambda: drill.completed(39), 120)
    code, out, err = drill.tool("drill_audit")
    assert code == 0 and json.loads(out) == {"checked": 39, "faults": []}, (out, err)
    drill.close()
    effects = [json.loads(line) for line in open(drill.file("effects"), encoding="utf-8")]
    made = collections.Counter((one["op"], one["resource"]) for one in effects if not one["repeat"])
    assert max(made.values()) == 1, made.most_common(3)
    roles = {name.rsplit(".", 1)[-1] for op, name in made if op == "iam:CreateRole"}
    wanted = {"drill-%s-drill_write_%02d" % (one, k) for one in write for k in range(1, 26)}
    wanted |= {"drill-%s-drill_write_%02d" % (one, k) for one in mixed for k in (3, 6, 12, 16, 21, 24)}
    assert {name for name in roles if name.startswith("drill-")} == wanted, len(roles ^ wanted)
    assert sum(op == "iam:CreatePolicyVersion" for op, _ in made) == 6, made


def a_full_worker_goes_round_the_shards(fleet):
    """A place that becomes free goes to the next shard that waits for one, and not to the shard that gave it free."""
    drill = Drill(fleet, 1, "--imports-max=2")
    drill.submit("drill-noop", 80)
    until(lambda: drill.completed(80), 120)
    drill.close()
    first, last = {}, {}  # by shard: when an import was first claimed, when the last one was completed
    for shard in range(fleet.shards):
        lines = fleet.cli("XRANGE", "f:{%d}:ev" % shard, "-", "+").splitlines()
        for line in lines:
            if re.fullmatch(r"\d+-\d+", line):
                at = tuple(int(part) for part in line.split("-"))
            elif re.search(r"imp_\w+ i1,", line):
                first.setdefault(shard, at)
            elif re.search(r"imp_\w+ i6,", line):
                last[shard] = at
    assert len(first) == len(last) == fleet.shards, (first, last)
    assert max(first.values()) < min(last.values()), "a shard was done before another one had its turn: %s %s" % (first, last)


def the_audit_fails_on_a_fault(fleet):
    drill = Drill(fleet, orgs=1)
    drill.submit("drill-noop", 2)
    until(lambda: drill.completed(2), 60)
    fleet.cli("ZADD", "f:{0}:ring", "1", fleet.cli("ZRANGE", "f:{0}:all", "0", "0"))
    code, out, _ = drill.tool("drill_audit")
    assert code == 1 and json.loads(out)["faults"], out
    drill.close()


run([(plays_every_playbook_and_writes_once, 2), (a_full_worker_goes_round_the_shards, 4), the_audit_fails_on_a_fault], sys.argv[1])
