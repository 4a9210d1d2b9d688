"""A connection to Redis that swallows everything and says nothing, as behind a firewall that forgot it: given up, made again, and what it had
swallowed does no harm when it arrives after all. Arg 1: folder of the programs."""
import os
import sys

LIB = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(LIB, "../lib"), os.path.join(LIB, "../chaos")]
from chaos_fleet import Proxy  # noqa: E402
from drill_fleet import DrillFleet  # noqa: E402
from fleet import skip, until  # noqa: E402
from redis_servers import PATIENCE, Servers, free_ports  # noqa: E402


def main():
    program = os.path.join(os.path.abspath(sys.argv[1]), "chaos_proxy")
    if not os.path.exists(program):
        skip("chaos_proxy is not built")
    servers, fleet, proxy = Servers(), None, None
    try:
        redis = servers.add_redis(free_ports(1)[0], "--appendfsync", "always")
        fleet = DrillFleet(sys.argv[1], "redis://127.0.0.1:%d" % redis.port, shards=2)
        proxy = Proxy(program, fleet.log)
        way = proxy.say("listen", "redis", "127.0.0.1:%d" % redis.port)
        fleet.worker("--redis=redis://127.0.0.1:" + way)
        fleet.submit(20)
        until(lambda: fleet.effects() > 20, PATIENCE)
        proxy.say("cut", "redis")
        before = proxy.stats()["connections"]
        until(lambda: fleet.said("turn.lost"), PATIENCE)
        until(lambda: proxy.stats()["connections"] > before, PATIENCE)
        assert fleet.effects() < 200, "nothing was left to do"
        proxy.say("heal", "redis")
        fleet.wait_done()
        fleet.drain()
        print("ok   a silent connection is given up; %d imports are done, each write once" % fleet.submitted)
    finally:
        if proxy:
            proxy.process.kill()
            proxy.process.wait()
        if fleet:
            fleet.close()
        servers.close()


main()
