"""Which fault comes when: a pure function of the seed. Nothing here looks at a clock or a process.

Faults are dealt from a deck that holds every kind at least once and is shuffled anew when it is used up: a run of a hundred
faults has met all of them, in another order for every seed. Times are milliseconds.
"""
import random

LEASE_MS = 2000
CALL_TIMEOUT_MS = 800
# Longer than a lease, as at AWS: what a dead worker had in hand must find somebody else at work.
SIGNATURE_LIFE_MS = 5000
# Four times AWS's half rates: an import's calls queue up in the client, so that a fault meets intents whose calls have not left.
RATE_SCALE_PCT = 400
SIGN_WITHIN_MS = 1000  # worker/runtime/engine.c, simulated fleets
# When another holder's intent may be believed absent: it was signed soon after it, the simulator takes a signature for its life and
# the second that x-amz-date is rounded by, and the answer has half a second to come.
SETTLE_MS = SIGN_WITHIN_MS + SIGNATURE_LIFE_MS + 1000 + 500

# kind -> how many cards of a deck. What has shown faults that were made on purpose (README.md) comes most often.
DECK = {
    "worker.kill": 4, "worker.stop": 4, "worker.drain": 1, "worker.clock": 3, "worker.late_aws": 8, "worker.late_redis": 3,
    "dispatcher.kill": 1, "dispatcher.stop": 1, "redis.kill": 2, "redis.stop": 1,
    "net.redis.cut": 2, "net.redis.deaf": 2, "net.redis.reset": 2, "net.redis.slow": 1,
    "net.aws.cut": 1, "net.aws.deaf": 2, "net.aws.reset": 2, "net.aws.slow": 1,
    "aws.throttle": 1, "aws.lost": 2, "aws.refused": 1,
}
FAILOVERS = {"redis.failover": 2}


class Schedule:
    def __init__(self, seed, workers, dispatchers, redis="single", calm=1):
        self.random = random.Random("chaos %d" % seed)
        self.workers, self.dispatchers, self.calm = workers, dispatchers, calm
        self.deck, self.kinds = [], dict(DECK, **(FAILOVERS if redis != "single" else {}))

    def worker(self):
        return "w%d" % self.random.randrange(1, self.workers + 1)

    def dispatcher(self):
        return "d%d" % self.random.randrange(1, self.dispatchers + 1)

    def between(self, low, high):
        return self.random.randrange(low, high + 1)

    def card(self):
        if not self.deck:
            self.deck = [kind for kind, count in sorted(self.kinds.items()) for _ in range(count)]
            self.random.shuffle(self.deck)
        return self.deck.pop()

    def __iter__(self):
        return self

    def __next__(self):
        """(pause before it, kind, arguments)"""
        pause, kind = self.between(100, 400) * self.calm, self.card()
        return pause, kind, self.arguments(kind)

    def arguments(self, kind):
        r = self.random
        if kind == "worker.kill":
            return {"who": self.worker(), "down": self.between(50, 1500)}
        if kind == "worker.stop":  # shorter and longer than the lease, and until somebody else has waited for its intents and acted
            return {"who": self.worker(), "ms": r.choice([self.between(200, 1500), self.between(LEASE_MS, LEASE_MS + 2500),
                                                          self.between(LEASE_MS + SETTLE_MS, LEASE_MS + SETTLE_MS + 2500)])}
        if kind == "worker.drain":
            return {"who": self.worker(), "down": self.between(50, 500)}
        if kind == "worker.clock":  # back and forth, by less and by more than AWS tolerates; 0 sets it right again
            return {"who": self.worker(), "offset": r.choice([0, 0, self.between(-5000, 5000), self.between(-280000, 280000),
                                                              self.between(-7200000, 7200000)])}
        if kind == "worker.late_aws":  # what it had in hand arrives when somebody else may have gone on
            return {"who": self.worker(), "ms": r.choice([self.between(LEASE_MS + 300, SIGNATURE_LIFE_MS), self.between(LEASE_MS + 300, SIGNATURE_LIFE_MS),
                                                          self.between(300, LEASE_MS + SETTLE_MS)]),
                    "down": self.between(50, 1000), "word": r.choice(["Action=CreatePolicyVersion", "Action=CreatePolicyVersion",
                                                                      "Action=Create"])}
        if kind == "worker.late_redis":
            return {"who": self.worker(), "ms": self.between(LEASE_MS, 2 * LEASE_MS)}
        if kind == "dispatcher.kill":
            return {"who": self.dispatcher(), "down": self.between(50, 3000)}
        if kind == "dispatcher.stop":
            return {"who": self.dispatcher(), "ms": self.between(500, 4000)}
        if kind == "redis.kill":
            return {"down": self.between(0, 400)}
        if kind == "redis.stop":
            return {"ms": r.choice([self.between(100, 1000), self.between(LEASE_MS, LEASE_MS + 1500)])}
        if kind == "redis.failover":  # the replica has not heard the last words
            return {"lag": r.choice([0, self.between(50, 600)])}
        return self.network_arguments(kind)

    def network_arguments(self, kind):
        if kind.startswith("net.redis."):
            who = self.random.choice([self.worker(), self.worker(), self.dispatcher(), "submit"])
        else:
            who = self.worker()
        if kind.endswith((".cut", ".deaf")):
            return {"who": who, "ms": self.random.choice([self.between(100, 1200), self.between(LEASE_MS, LEASE_MS + 2000)])}
        if kind.endswith(".slow"):
            return {"who": who, "delay": self.between(10, 150), "ms": self.between(500, 3000)}
        if kind == "aws.throttle":
            return {"faults": {"throttle": self.between(2, 6) / 10}, "ms": self.between(300, 2000)}
        if kind == "aws.lost":  # applied, and nobody is told
            return {"faults": {"drop": self.between(5, 20) / 100, "after": self.between(5, 20) / 100}, "ms": self.between(300, 2000)}
        if kind == "aws.refused":
            return {"faults": {"before": self.between(5, 20) / 100, "reset": self.between(5, 20) / 100}, "ms": self.between(300, 2000)}
        return {"who": who}
