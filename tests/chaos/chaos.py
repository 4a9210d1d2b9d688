"""The chaos run: a fleet of real processes under a seeded schedule of faults, until every import has ended; then everything that AWS
did is held against what the fleet says it did. Called by run.sh; tests/chaos/README.md says what is promised."""
import argparse
import collections
import heapq
import itertools
import json
import signal
import subprocess
import sys
import threading
import time

import chaos_schedule as rules
from chaos_fleet import ChaosFleet

STEPS_PER_IMPORT = 25
STUCK_S = 180  # nothing completed for so long, although faults never last longer than seconds


class Watch:
    """chaos_watch's lines, read by a thread; the last one counts."""

    def __init__(self, fleet):
        self.process = fleet.tool("chaos_watch")
        self.last = {"states": {}, "redriven": 0, "why": {}}
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.last = json.loads(line)

    def completed(self):
        return self.last["states"].get("completed", 0)


class Run:
    def __init__(self, fleet, options):
        self.fleet, self.options = fleet, options
        self.schedule = rules.Schedule(options.seed, options.workers, 2, options.redis, options.calm)
        self.counts, self.later, self.serial = collections.Counter(), [], itertools.count()
        self.redis_is_down = False

    # ---- Time
    def after(self, ms, function, *args):
        heapq.heappush(self.later, (time.monotonic() + ms / 1000, next(self.serial), function, args))

    def run_due(self):
        while self.later and self.later[0][0] <= time.monotonic():
            _, _, function, args = heapq.heappop(self.later)
            function(*args)

    # ---- Faults: what really happened is counted
    def inject(self, kind, a):
        area, verb = kind.split(".", 1)
        is_hit = getattr(self, "%s_%s" % (area, verb.replace(".", "_")))(**a)
        self.counts[kind if is_hit else "missed"] += 1

    def worker_kill(self, who, down):
        return self.fleet.members[who].kill(down)

    def worker_stop(self, who, ms):
        member = self.fleet.members[who]
        if not member.send(signal.SIGSTOP):
            return False
        self.after(ms, lambda process: process.poll() is None and process.send_signal(signal.SIGCONT), member.process)
        return True

    dispatcher_kill, dispatcher_stop = worker_kill, worker_stop

    def worker_drain(self, who, down):
        member = self.fleet.members[who]
        if not member.is_alive() or not member.listens() or not member.send(signal.SIGTERM):
            return False
        process = member.process

        def ended():
            if member.process is process and process.poll() is None:  # its patience is over
                member.kill(down)
        member.send(signal.SIGCONT)
        self.after(12000, ended)
        return True

    def worker_clock(self, who, offset):
        self.fleet.set_clock(who, offset)
        return self.fleet.members[who].is_alive()

    def worker_late_aws(self, who, ms, down, word):
        """Its next such request stays on the way, and it dies: another goes on, and then it arrives."""
        member = self.fleet.members[who]
        if not member.is_alive():
            return False
        member.doom(down)
        self.fleet.proxy.say("late", "aws-" + who, ms, word, member.process.pid)
        return True

    def worker_late_redis(self, who, ms):
        self.fleet.proxy.say("late", "redis-" + who, ms)
        return self.fleet.members[who].is_alive()

    def redis_kill(self, down):
        if self.redis_is_down:
            return False
        self.redis_is_down = True
        self.fleet.redis.kill()
        self.after(down, self.redis_again)
        return True

    def redis_again(self):
        self.fleet.redis.start()
        self.redis_is_down = False

    def redis_stop(self, ms):
        if self.redis_is_down:
            return False
        process = self.fleet.redis.process
        process.send_signal(signal.SIGSTOP)
        self.after(ms, lambda: process.poll() is None and process.send_signal(signal.SIGCONT))
        return True

    def redis_failover(self, lag):
        if self.redis_is_down or "up" not in self.fleet.replica.cli("INFO", "replication").split("master_link_status:")[-1][:3]:
            return False
        self.redis_is_down = True
        if lag:
            self.fleet.proxy.say("cut", "repl")
        self.after(lag, self.failed_over)
        return True

    def failed_over(self):
        self.fleet.redis.kill()
        self.fleet.proxy.say("reset", "repl")
        self.fleet.fail_over()
        self.redis_is_down = False

    def net(self, route, verb, ms, *more):
        self.fleet.proxy.say(verb, route, *more)
        if ms:
            self.after(ms, self.fleet.proxy.say, "heal", route)
        return True

    def net_redis_cut(self, who, ms):
        return self.net("redis-" + who, "cut", ms)

    def net_redis_deaf(self, who, ms):
        return self.net("redis-" + who, "deaf", ms)

    def net_redis_reset(self, who):
        return self.net("redis-" + who, "reset", 0)

    def net_redis_slow(self, who, delay, ms):
        return self.net("redis-" + who, "slow", ms, delay)

    def net_aws_cut(self, who, ms):
        return self.net("aws-" + who, "cut", ms)

    def net_aws_deaf(self, who, ms):
        return self.net("aws-" + who, "deaf", ms)

    def net_aws_reset(self, who):
        return self.net("aws-" + who, "reset", 0)

    def net_aws_slow(self, who, delay, ms):
        return self.net("aws-" + who, "slow", ms, delay)

    def aws_faults(self, faults, ms):
        self.fleet.set_faults(faults)
        self.after(ms, self.fleet.set_faults, {"preset": "none"})
        return True

    aws_throttle = aws_lost = aws_refused = aws_faults

    # ---- The run
    def work(self, submit, watch):
        """Faults until every import has ended. Gives "" or why it was given up."""
        next_at, moved_at, seen = time.monotonic(), time.monotonic(), -1
        while watch.completed() < self.options.imports:
            self.run_due()
            for member in self.fleet.members.values():
                member.supervise()
            if time.monotonic() >= next_at:
                pause, kind, arguments = next(self.schedule)
                self.inject(kind, arguments)
                next_at = time.monotonic() + pause / 1000 * self.fleet.slowness()  # or nothing would get done between two faults
            if watch.completed() != seen:
                seen, moved_at = watch.completed(), time.monotonic()
                if self.options.verbose:
                    print(seen, watch.last, dict(self.counts), flush=True)
            if time.monotonic() - moved_at > STUCK_S:
                return "nothing has ended for %d s: %s" % (STUCK_S, watch.last)
            if submit.poll() not in (None, 0):
                return "drill_submit ended with %s" % submit.returncode
            time.sleep(0.01)
        return ""

    def settle(self):
        """What was begun is undone: the stopped go on, the dead come back."""
        self.fleet.heal()
        while self.later:
            _, _, function, args = heapq.heappop(self.later)
            function(*args)
        self.fleet.heal()
        self.fleet.redis.wait()


def ask(fleet, program, *flags):
    process = fleet.tool(program, *flags)
    out, _ = process.communicate(timeout=1800)
    return process.returncode, json.loads(out) if out.strip() else {}


def judge(fleet, run, failure):
    """The verdict: {"ok", ...}. Order matters: the fleet ends, then the auditor, then AWS, then the comparison."""
    run.settle()
    bad_ends = fleet.drain()
    audit_code, audit = ask(fleet, "drill_audit")
    served = fleet.ask_sim("/_sim/stats")["faults"]["served"]
    fleet.sim.send_signal(signal.SIGTERM)
    fleet.sim.wait(60)
    check_code, check = ask(fleet, "chaos_check", "--ids=" + fleet.file("ids"), "--effects=" + fleet.file("effects"),
                            "--playbook=" + fleet.playbook(), "--settle-ms=%d" % rules.SETTLE_MS,
                            "--sign-within-ms=%d" % rules.SIGN_WITHIN_MS)
    faults = fleet.product_faults() + ["%s ended with %s after SIGTERM" % end for end in bad_ends.items()]
    is_ok = not failure and audit_code == 0 and check_code == 0 and not faults and check.get("imports") == run.options.imports
    return {"ok": is_ok, "failure": failure, "check": check, "audit": {"checked": audit.get("checked"), "faults": audit.get("faults", ["?"])[:20]},
            "product_faults": faults, "aws_faults_served": served}


def main():
    parser = argparse.ArgumentParser(prog="tests/chaos/run.sh")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--redis", choices=["single", "replica"], default="single")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--orgs", type=int, default=0, help="organizations, each with one open import at a time (0: by the number of steps)")
    parser.add_argument("--calm", type=int, default=1, metavar="N", help="N times as long between two faults: for long runs")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--show-schedule", type=int, metavar="N", help="print the first N faults of this seed and end")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, effects and Redis's files")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.show_schedule:
        for fault in itertools.islice(rules.Schedule(options.seed, options.workers, 2, options.redis, options.calm), options.show_schedule):
            print(json.dumps(fault))
        return 0
    options.imports = max(1, options.steps // STEPS_PER_IMPORT)
    options.orgs = options.orgs or max(16, min(1000, options.imports // 40))
    began = time.monotonic()
    fleet = ChaosFleet(options.bin, options)
    run, is_ok = Run(fleet, options), False
    try:
        submit = fleet.tool("drill_submit", "--playbook=" + fleet.playbook(), "--imports=%d" % options.imports, "--ids=" + fleet.file("ids"),
                            "--worlds=" + fleet.file("worlds"), "--credentials=" + fleet.file("keys.ini"), "--keys=" + fleet.file("keys"))
        watch = Watch(fleet)
        failure = run.work(submit, watch)
        faulty_s = time.monotonic() - began
        watch.process.kill()
        submit.kill()
        verdict = judge(fleet, run, failure)
        is_ok = verdict["ok"]
        print(json.dumps({"seed": options.seed, "steps": options.imports * STEPS_PER_IMPORT, "workers": options.workers, "calm": options.calm, "redis": options.redis,
                          "seconds": round(faulty_s), "slowness": round(fleet.slowness(), 1), "faults": dict(sorted(run.counts.items())), "faults_in_all": sum(run.counts.values()),
                          "proxy": fleet.proxy.stats(), "redriven": watch.last["redriven"], "redriven_why": watch.last["why"],
                          "worker_starts": sum(m.starts for m in fleet.members.values()), **verdict}, indent=1), flush=True)
        print("chaos: seed %d: %s" % (options.seed, "OK" if is_ok else "FAILED"))
    finally:
        fleet.close(options.keep or not is_ok)
    return 0 if is_ok else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as why:
        print("chaos: %s" % why)
        sys.exit(1)
