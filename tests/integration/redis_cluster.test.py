"""Redis Cluster, 3+3, under load: a primary is killed, then the slot of a shard moves to another one. Everything that was accepted is done,
each write took effect once, the audit finds nothing. Arg 1: folder of the programs."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from drill_fleet import DrillFleet  # noqa: E402
from fleet import until  # noqa: E402
from redis_servers import PATIENCE, Cluster  # noqa: E402

SHARDS = 6


def shards_by_owner(cluster):
    found = {}
    for shard in range(SHARDS):
        found.setdefault(cluster.owner(cluster.slot("f:{%d}:h" % shard)).port, []).append(shard)
    return found


def a_killed_primary_loses_nothing(cluster, fleet):
    owners = shards_by_owner(cluster)
    assert len(owners) == 3, "every primary has a shard: %s" % owners
    slot = cluster.slot("f:{0}:h")
    victim = cluster.owner(slot)
    fleet.submit(40)
    until(lambda: fleet.effects() > 20, PATIENCE)
    victim.kill()
    until(lambda: cluster.owner(slot) not in (None, victim), PATIENCE)
    heir = cluster.owner(slot)
    # The functions came with the data; a primary that has lost them gets them again.
    assert "orgimport_1" in heir.cli("FUNCTION", "LIST")
    heir.cli("FUNCTION", "FLUSH")
    before = fleet.effects()
    victim.start()
    cluster.wait_full()
    until(lambda: fleet.effects() > before + 20, PATIENCE)
    assert "orgimport_1" in heir.cli("FUNCTION", "LIST")


def a_slot_moves_while_its_shard_is_worked_on(cluster, fleet):
    slot = cluster.slot("f:{0}:h")
    source = cluster.owner(slot)
    target = next(one for one in cluster.primaries() if one is not source)
    fleet.submit(30)
    target.cli("FUNCTION", "FLUSH")  # as a node that was added yesterday
    assert int(source.cli("CLUSTER", "COUNTKEYSINSLOT", slot)) >= 3
    refused = lambda: sum(int(one.info("errorstats").get(name, "count=0").split("=")[1]) for one in (source, target)  # noqa: E731
                          for name in ("errorstat_TRYAGAIN", "errorstat_ASK"))
    before = refused()

    def between(_, left):
        """The shard's hash is still here, its indexes are there already: calls come, and none is taken, nor begun."""
        if len(left) == 1:
            until(lambda: refused() > before, PATIENCE)
    assert cluster.move(slot, target, between) >= 3
    assert cluster.owner(slot) is target
    effects = fleet.effects()
    until(lambda: "orgimport_1" in target.cli("FUNCTION", "LIST") and fleet.effects() > effects, PATIENCE)


if __name__ == "__main__":
    DrillFleet.play(sys.argv[1], Cluster(), SHARDS, [a_killed_primary_loses_nothing, a_slot_moves_while_its_shard_is_worked_on])
