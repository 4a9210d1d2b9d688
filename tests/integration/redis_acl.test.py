"""The whole product as the Redis user that deploy/redis ships: dispatcher, workers, batch, inbox, events, people, metrics. Nothing is denied.
(The queue's own calls as that user: integration.queue.acl.*.) Arg 1: folder of the programs."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import SOURCE, Fleet, Stream, request, until  # noqa: E402
from sim_world import World  # noqa: E402

USER, PASSWORD = "orgimport", "acl-test"


def limit(fleet):
    """The shipped line with a password; whoever is told the address from now on is told the user."""
    words = open(os.path.join(SOURCE, "deploy/redis/users.acl"), encoding="utf-8").read().split()
    assert words[:2] == ["user", USER]
    path = fleet.socket

    def cli(*more, check=True, data=None):
        run = subprocess.run(["redis-cli", "-s", path, *more], input=data, capture_output=True, text=True, check=check)
        return run.stdout.strip()
    fleet.cli = cli
    assert cli("ACL", "SETUSER", *words[1:], ">" + PASSWORD) == "OK"
    fleet.socket = "%s:%s@%s" % (USER, PASSWORD, path)


def main():
    fleet = Fleet(sys.argv[1])
    world, is_failed = None, True
    try:
        limit(fleet)
        world = World(fleet, 2)
        stream = Stream(world.dispatcher)
        stream.place()
        world.worker()
        world.submit()
        world.wait_completed(2)
        assert stream.event()
        stream.close()
        fleet.cli("XADD", "f:{0}:in", "*", "request", json.dumps(request("inbox-1", 999988887777)))
        until(lambda: "inbox-1" in fleet.cli("XRANGE", "f:{0}:out", "-", "+"))
        assert world.dispatcher.get("/metrics").status == 200 and world.dispatcher.get("/v1/fleet").status == 200
        assert world.dispatcher.get("/v1/imports/%s/ledger" % world.imports()[0]["id"]).json["data"]
        run = subprocess.run([os.path.join(fleet.bin, "drill_audit"), "--redis=unix://" + fleet.socket], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        denied = fleet.cli("ACL", "LOG")
        assert not denied, denied
        is_failed = False
        print("ok   the whole product as the shipped user, nothing denied")
    finally:
        if world:
            world.close()
        fleet.close(is_failed)


main()
