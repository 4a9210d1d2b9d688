"""The queue beside BullMQ, bee-queue and Sidekiq; what a step costs Redis; whether that grows. Begun by run.sh; README.md says how to read it.

Nothing here passes or fails by time: it prints. Rounds alternate, so that a busy minute of the machine hits everybody; a figure is the
median, with least and most beside it."""
import argparse
import json
import os
import statistics
import subprocess
import sys

import bench_systems as systems
from bench_redis import Redis

FSYNCS = ("everysec", "always")
BATCHES = ((1, 32), (4, 16), (16, 8), (32, 4))  # items in a turn, turns on the way


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Series:
    """All rounds of one figure."""

    def __init__(self, values=()):
        self.values = list(values)

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    def json(self):
        return {"median": round(self.median, 2), "min": round(min(self.values), 2), "max": round(max(self.values), 2)}

    def text(self, form="%.0f"):
        return "%s  (%s .. %s)" % (form % self.median, form % min(self.values), form % max(self.values))


# ---- Beside the others ---------------------------------------------------------------------------------------------------------------
FIGURES = (("steps_per_s", "steps/s", "%.0f"), ("redis_us", "Redis us/step", "%.1f"), ("client_us", "client us/step", "%.1f"),
           ("fill_per_s", "enqueued steps/s", "%.0f"))


class Beside:
    def __init__(self, options, redis, ours, peers):
        self.options, self.redis, self.ours, self.peers = options, redis, ours, peers
        self.series = {}  # (shape, fsync, system, figure) -> Series
        self.ways = {}

    def note(self, shape, fsync, name, run):
        for figure, *_ in FIGURES:
            self.series.setdefault((shape.name, fsync, name, figure), Series()).add(getattr(run, figure))

    def one(self, shape, fsync):
        failed = set()
        for peer in self.peers:
            tried = peer.tune(self.redis, shape, fsync)
            self.ways["%s %s %s" % (peer.name, shape.name, fsync)] = "%s, %d processes of concurrency %d" % peer.best[shape.name, fsync]
            say("  %s, tried: %s" % (peer.name, "; ".join("%s %dx%d %.0f/s" % (*way, rate) for rate, way in tried)))
        for turn in range(self.options.rounds):
            order = [self.ours, *self.peers]
            order = order[turn % len(order):] + order[:turn % len(order)]
            for system in order:
                if system in failed:
                    continue
                self.redis.fresh(fsync)
                run = self.ours.run(self.redis, shape) if system is self.ours else system.run_best(self.redis, shape, fsync)
                self.note(shape, fsync, system.name, run)
            say("  %s %s round %d: %s" % (shape.name, fsync, turn + 1, ", ".join(
                "%s %.0f/s" % (s.name, self.series[shape.name, fsync, s.name, "steps_per_s"].values[-1]) for s in order)))

    def ratio(self, shape, fsync, peer):
        """Paired: ours over theirs within each round, then the median of these."""
        mine, its = (self.series[shape, fsync, name, "steps_per_s"].values for name in (self.ours.name, peer))
        return Series(a / b for a, b in zip(mine, its))

    def json(self):
        out = {"ratio": {}, "systems": {}, "ways": self.ways}
        for peer in self.peers:
            ratios = out["ratio"].setdefault(peer.name, {})
            for shape, fsync in self.pairs():
                ratios.setdefault(fsync, {})[shape] = self.ratio(shape, fsync, peer.name).json()
        for (shape, fsync, name, figure), series in self.series.items():
            out["systems"].setdefault(name, {}).setdefault(fsync, {}).setdefault(shape, {})[figure] = series.json()
        return out

    def pairs(self):
        return list(dict.fromkeys((shape, fsync) for shape, fsync, *_ in self.series))

    def table(self):
        for shape, fsync in self.pairs():
            print("\n%s shape, appendfsync %s; median (least .. most) of %d rounds" % (shape, fsync, self.options.rounds))
            print("  %-12s" % "" + "".join("%-28s" % unit for _, unit, _ in FIGURES))
            for system in [self.ours, *self.peers]:
                print("  %-12s" % system.name + "".join(
                    "%-28s" % self.series[shape, fsync, system.name, figure].text(form) for figure, _, form in FIGURES))
            for peer in self.peers:
                print("  orgimport : %s = %s times" % (peer.name, self.ratio(shape, fsync, peer.name).text("%.1f")))
        print("\nhow each was set (its own fastest way found here):")
        for what, way in self.ways.items():
            print("  %-28s %s" % (what, way))


# ---- What a step costs Redis ----------------------------------------------------------------------------------------------------------
def queue_program(ours, *words):
    done = subprocess.run([ours.program("bench_queue"), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit("bench_queue %s: %s" % (" ".join(words), done.stderr[-2000:]))
    return json.loads(done.stdout)


class Turns:
    """Turns of a wanted size from a holder in C: no worker in between, so this is the queue alone."""

    def __init__(self, options, ours):
        self.rows = {}  # (fsync, batch, waits) -> figure -> Series
        imports = "--imports=%d" % (300 if options.quick else 1000)
        for fsync in FSYNCS:
            for _ in range(options.rounds):
                for batch, pipeline in BATCHES:
                    for slots in (0, 128):
                        got = queue_program(ours, "turns", imports, "--batch=%d" % batch, "--pipeline=%d" % pipeline, "--slots=%d" % slots,
                                            "--fsync=" + fsync)
                        row = self.rows.setdefault((fsync, batch, slots > 0), {})
                        for figure in ("redis_us_per_step", "commands_per_step", "commands_per_turn", "steps_per_s", "longest_turn_us"):
                            row.setdefault(figure, Series()).add(got[figure])
            say("  turns, %s: done" % fsync)

    def json(self):
        out = {"redis_us_per_step": {}, "commands_per_step": {}, "longest_turn_us": {}}
        for (fsync, batch, waits), row in self.rows.items():
            for figure, table in out.items():
                where = table.setdefault(fsync + (".others_wait" if waits else ""), {})
                where[str(batch)] = row[figure].json()
        out["commands_per_turn"] = {str(batch): row["commands_per_turn"].json() for (fsync, batch, waits), row in self.rows.items()
                                    if fsync == FSYNCS[0] and not waits}
        return out

    def table(self):
        print("\nRedis by turns of a wanted size (25 steps per import; main thread CPU; no worker in between)")
        print("  %-10s %-6s %-14s %-26s %-12s %-12s %-22s" % ("fsync", "batch", "in the ring", "Redis us/step", "inner/step", "inner/turn",
                                                              "longest turn, us (wall)"))
        for (fsync, batch, waits), row in sorted(self.rows.items(), key=lambda one: (one[0][0] != FSYNCS[0], one[0][2], one[0][1])):
            print("  %-10s %-6d %-14s %-26s %-12.2f %-12.2f %-22s" % (fsync, batch, "others wait" if waits else "nobody",
                  row["redis_us_per_step"].text("%.1f"), row["commands_per_step"].median, row["commands_per_turn"].median,
                  row["longest_turn_us"].text()))


# ---- Whether it grows; bytes; latency --------------------------------------------------------------------------------------------------
CALLS = ("submit", "turn", "turn16", "beat", "tick")


class Flat:
    def __init__(self, options, ours):
        leased = (1000, 10000) if options.quick else (1000, 10000, 100000)
        queued = (10000, 100000) if options.quick else (10000, 100000, 1000000)
        self.rows = []
        for what, sizes in (("leased", leased), ("queued", queued)):
            for size in sizes:
                got = queue_program(ours, "flat", "--%s=%d" % (what, size))
                self.rows.append((what, size, got["us"], got["longest_turn_us"], got["used_memory"]))
                say("  flat: %s %d" % (what, size))

    def json(self):
        return {"flat": [["%s, %s" % (call, what), size, round(us[call], 2)] for what, size, us, *_ in self.rows for call in CALLS]}

    def table(self):
        print("\nwhether calls become dearer: Redis us per call (median of 5 slices; turn16 is a turn of 16 steps)")
        print("  %-18s" % "" + "".join("%10s" % call for call in CALLS) + "%24s%14s" % ("longest turn, us (wall)", "Redis, MB"))
        for what, size, us, longest, memory in self.rows:
            print("  %-8s %9d" % (what, size) + "".join("%10.1f" % us[call] for call in CALLS) + "%24d%14.1f" % (longest, memory / 1e6))


class Bytes:
    def __init__(self, options, redis, ours, peers):
        self.ours = queue_program(ours, "bytes", "--imports=%d" % (1000 if options.quick else 4000))
        self.peers = {}
        shape = systems.shapes(0.4)["product"]
        for peer in peers:
            redis.fresh("everysec")
            empty = redis.memory()
            peer.fill(redis, systems.Shape("wide", shape.imports, shape.steps, None), "wide")
            self.peers[peer.name] = (redis.memory() - empty) / shape.total

    def json(self):
        return {"bytes_per_step": {"queued": round(self.ours["queued_step"], 1), "finished": round(self.ours["finished_step"], 1),
                                   **{name + ".queued_job": round(n, 1) for name, n in self.peers.items()}},
                "bytes_per_import": {"queued": round(self.ours["queued_import"]), "idle": round(self.ours["idle_import"])}}

    def table(self):
        print("\nRedis bytes (100 bytes of input: ours once per import of 25 steps, theirs once per job)")
        print("  orgimport    queued: %.0f per step, %.0f per import; resting import: %.0f; a finished step with journal, result and ledger: %.0f"
              % (self.ours["queued_step"], self.ours["queued_import"], self.ours["idle_import"], self.ours["finished_step"]))
        for name, n in self.peers.items():
            print("  %-12s queued: %.0f per job" % (name, n))


class Latency:
    """Imports of one step at half the pace that one worker did in the shape single."""

    def __init__(self, options, redis, ours):
        shape = systems.shapes(0.2 if options.quick else 0.5)["single"]
        redis.fresh("everysec")
        self.per_s = max(50, int(ours.run(redis, shape).steps_per_s / 2))
        redis.fresh("everysec")
        worker = ours.worker(redis)
        try:
            done = subprocess.run([ours.program("bench_pace"), "--redis=" + redis.url, "--durability=relaxed", "--per-s=%d" % self.per_s,
                                   "--imports=%d" % (self.per_s * (5 if options.quick else 20))], check=True, capture_output=True, text=True, timeout=300)
            self.us = json.loads(done.stdout)
        finally:
            worker.kill()
            worker.wait()

    def json(self):
        return {"latency_us": {"per_s": self.per_s, **self.us}}

    def table(self):
        print("\nfrom enqueue to start, one worker, half load (%d imports/s), us; the step starts between claimed and done" % self.per_s)
        for what, row in self.us.items():
            print("  until %-8s p50 %d, p99 %d" % (what, row["p50"], row["p99"]))


# ---- All ---------------------------------------------------------------------------------------------------------------------------------
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="beside,turns,flat,bytes,latency")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    only = options.only.split(",")
    peers, missing = systems.installed(options.peers)
    for sentence in missing:
        say(sentence)
    work = systems.scratch()
    redis, parts = Redis(), []
    try:
        ours = systems.Ours(options.bin, work)
        if "beside" in only:
            beside = Beside(options, redis, ours, peers)
            for shape in systems.shapes(0.3 if options.quick else 1).values():
                for fsync in FSYNCS:
                    beside.one(shape, fsync)
            parts.append(beside)
        for name, make in (("turns", lambda: Turns(options, ours)), ("flat", lambda: Flat(options, ours)),
                           ("bytes", lambda: Bytes(options, redis, ours, peers)), ("latency", lambda: Latency(options, redis, ours))):
            if name in only:
                parts.append(make())
        versions = {"redis": redis.info("server")["redis_version"], **{peer.name: peer.version for peer in peers}}
        if options.json:
            out = {"versions": versions, "missing": missing, "cores": os.cpu_count()}
            for part in parts:
                out.update(part.json())
            print(json.dumps(out, indent=1))
        else:
            print(", ".join("%s %s" % one for one in versions.items()) + "; %d cores" % os.cpu_count())
            for part in parts:
                part.table()
    finally:
        redis.stop()
        subprocess.run(["rm", "-rf", work], check=False)


if __name__ == "__main__":
    main()
