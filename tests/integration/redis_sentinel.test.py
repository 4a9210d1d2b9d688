"""Redis behind three Sentinels, under load: an operator lets a replica take over, then that one is killed and the next takes over. Everything
that was accepted is done, each write took effect once, the audit finds nothing. Arg 1: folder of the programs."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from drill_fleet import DrillFleet  # noqa: E402
from fleet import until  # noqa: E402
from redis_servers import PATIENCE, Sentinels  # noqa: E402


def wait_work(fleet, effects=20):
    before = fleet.effects()
    until(lambda: fleet.effects() >= before + effects, PATIENCE)


def a_failover_without_a_death_loses_nothing(sentinels, fleet):
    """The master lives, keeps a replica that agrees with it, and takes writes until a Sentinel tells it otherwise: what only those two know
    is forgotten by both. So all replicas must have what is promised."""
    old = sentinels.master()
    fleet.submit(40)
    wait_work(fleet)
    assert sentinels.sentinels[0].cli("SENTINEL", "FAILOVER", "mq") == "OK"
    until(lambda: sentinels.master() is not old, PATIENCE)
    wait_work(fleet)
    until(lambda: old.role() == "slave" and old.is_synced(), PATIENCE)
    return old


def a_killed_master_loses_nothing(sentinels, fleet):
    """SIGKILL between a write and its copies: whoever was promised something finds it with the next master."""
    fleet.submit(20)
    victim = sentinels.master()
    wait_work(fleet)
    victim.kill()
    until(lambda: sentinels.master() is not victim and sentinels.master().role() == "master", PATIENCE)
    wait_work(fleet)


if __name__ == "__main__":
    DrillFleet.play(sys.argv[1], Sentinels(), 2, [a_failover_without_a_death_loses_nothing, a_killed_master_loses_nothing])
