"""Real Redis servers as they are really run: a Cluster of 3+3, a master with replicas and three Sentinels. On loopback, quick to
notice a loss; nothing waits by time alone. ORGIMPORT_REDIS names another server program (valkey-server)."""
import os
import shutil
import socket
import subprocess
import tempfile

from fleet import skip, until

PATIENCE = 30
PROGRAM = os.environ.get("ORGIMPORT_REDIS", "redis-server")


def free_ports(count):
    """All open at once, so that none comes twice; in use by nobody when they are given."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Server:
    """One process with a folder of its own; started again it has the same files."""

    def __init__(self, folder, port, words, name=PROGRAM):
        self.port, self.dir, self.words, self.name, self.process = port, folder, words, name, None
        os.makedirs(folder, exist_ok=True)
        self.log = open(os.path.join(folder, "log"), "ab")

    def start(self):
        self.process = subprocess.Popen([self.name, *self.words], stdout=self.log, stderr=self.log, cwd=self.dir)
        until(lambda: self.cli("PING", check=False) == "PONG" or self.process.poll() is not None, PATIENCE)
        assert self.process.poll() is None, self.tail()
        return self

    def tail(self):
        return open(self.log.name, encoding="utf-8", errors="replace").read()[-3000:]

    def cli(self, *words, check=True):
        run = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *(str(word) for word in words)], capture_output=True,
                             text=True, check=False, timeout=PATIENCE)
        text = run.stdout.strip()
        refused = run.returncode != 0 or text.startswith(("ERR ", "NOPERM", "NOAUTH", "MOVED ", "ASK ", "CLUSTERDOWN"))
        assert not check or not refused, (words, text, run.stderr)
        return text

    def info(self, section):
        lines = (line.split(":", 1) for line in self.cli("INFO", section, check=False).splitlines() if ":" in line)
        return {name: value.strip() for name, value in lines}

    def role(self):
        return self.info("replication").get("role")

    def is_synced(self):
        """A replica that has what its master has."""
        return self.info("replication").get("master_link_status") == "up"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Servers:
    """A folder full of them."""

    def __init__(self):
        if not shutil.which(PROGRAM):
            skip(PROGRAM + " is not installed")
        self.dir, self.all = tempfile.mkdtemp(prefix="orgimport-redis-"), []

    def add(self, name, port, words):
        self.all.append(Server(os.path.join(self.dir, name), port, words).start())
        return self.all[-1]

    def add_redis(self, port, *more):
        words = ["--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
                 "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5", *more]
        return self.add("redis-%d" % port, port, words)

    def close(self):
        for server in self.all:
            server.kill()
            server.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Sentinels(Servers):
    """redis+sentinel://...: a master, two replicas, three Sentinels."""

    def __init__(self):
        super().__init__()
        ports = free_ports(6)
        self.redis = [self.add_redis(ports[0], "--min-replicas-to-write", "1")]
        for port in ports[1:3]:
            self.redis.append(self.add_redis(port, "--min-replicas-to-write", "1", "--replicaof", "127.0.0.1 %d" % ports[0]))
        until(lambda: all(one.is_synced() for one in self.redis[1:]), PATIENCE)
        self.sentinels = [self.add_sentinel(port, ports[0]) for port in ports[3:]]
        until(lambda: all(self.knows_all(one) for one in self.sentinels), PATIENCE)
        self.url = "redis+sentinel://%s/mq" % ",".join("127.0.0.1:%d" % one.port for one in self.sentinels)

    def add_sentinel(self, port, master_port):
        conf = os.path.join(self.dir, "sentinel-%d.conf" % port)
        with open(conf, "w", encoding="utf-8") as file:
            file.write("port %d\nbind 127.0.0.1\nsentinel monitor mq 127.0.0.1 %d 2\nsentinel down-after-milliseconds mq 500\n"
                       "sentinel failover-timeout mq 2000\nsentinel parallel-syncs mq 2\n" % (port, master_port))
        return self.add("sentinel-%d" % port, port, [conf, "--sentinel"])

    def knows_all(self, sentinel):
        words = sentinel.cli("SENTINEL", "MASTER", "mq").splitlines()
        told = dict(zip(words[::2], words[1::2]))
        return told["num-slaves"] == "2" and told["num-other-sentinels"] == "2" and told["flags"] == "master"

    def master(self, sentinel=None):
        port = (sentinel or self.sentinels[0]).cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mq").split()[1]
        return next(one for one in self.redis if one.port == int(port))


class Cluster(Servers):
    """redis+cluster://...: three primaries with a third of the slots each, a replica for each."""

    def __init__(self):
        super().__init__()
        ports = free_ports(12)
        self.redis = [self.add_redis(ports[i], "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout",
                                     "1000", "--cluster-port", str(ports[6 + i]), "--cluster-replica-validity-factor", "0") for i in range(6)]
        first = self.redis[0]
        for i, one in enumerate(self.redis):
            one.cli("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            one.node_id = one.cli("CLUSTER", "MYID")
            if one is not first:
                one.cli("CLUSTER", "MEET", "127.0.0.1", first.port, first.words[first.words.index("--cluster-port") + 1])
        for i, one in enumerate(self.redis[:3]):
            one.cli("CLUSTER", "ADDSLOTSRANGE", 16384 * i // 3, 16384 * (i + 1) // 3 - 1)
        until(lambda: all(self.is_whole(one) for one in self.redis), PATIENCE)
        for i, one in enumerate(self.redis[3:]):
            one.cli("CLUSTER", "REPLICATE", self.redis[i].node_id)
        until(lambda: all(one.is_synced() for one in self.redis[3:]), PATIENCE)
        until(lambda: all(one.info("replication").get("connected_slaves") == "1" for one in self.redis[:3]), PATIENCE)
        self.url = "redis+cluster://" + ",".join("127.0.0.1:%d" % one.port for one in self.redis[:2])

    def is_whole(self, server):
        lines = server.cli("CLUSTER", "INFO", check=False).split()
        return "cluster_state:ok" in lines and "cluster_known_nodes:6" in lines

    def nodes(self, server):
        """What this one believes: {port: (flags, slots)}."""
        rows = [row.split() for row in server.cli("CLUSTER", "NODES", check=False).splitlines()]
        return {int(row[1].split("@")[0].rsplit(":")[-1]): (row[2].split(","), row[8:]) for row in rows if len(row) > 7}

    def primaries(self):
        """Those that say of themselves that they are, and have slots."""
        alive = [one for one in self.redis if one.process.poll() is None]
        told = [(one, *self.nodes(one).get(one.port, ([], []))) for one in alive]
        return [one for one, flags, slots in told if "master" in flags and slots]

    def slot(self, key):
        return int(next(one for one in self.redis if one.process.poll() is None).cli("CLUSTER", "KEYSLOT", key))

    def owner(self, slot):
        def has(slots):
            ranges = [part.split("-") for part in slots if not part.startswith("[")]
            return any(int(part[0]) <= slot <= int(part[-1]) for part in ranges)
        return next((one for one in self.primaries() if has(self.nodes(one)[one.port][1])), None)

    def wait_full(self):
        """Every primary has its replica again, and all agree."""
        until(lambda: len(self.primaries()) == 3 and all(one.info("replication").get("connected_slaves") == "1" for one in self.primaries())
              and all(self.is_whole(one) for one in self.redis), PATIENCE)

    def move(self, slot, target, between=lambda moved, left: None):
        """As redis-cli --cluster reshard does it, key by key, the shard's hash last; `between` is called after each. Gives
        how many."""
        source = self.owner(slot)
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
        source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
        moved = 0
        while True:
            keys = sorted(source.cli("CLUSTER", "GETKEYSINSLOT", slot, 1000).split(), key=lambda key: key.endswith(":h"))
            if not keys:
                break
            assert source.cli("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000) in ("OK", "NOKEY")
            moved += 1
            between(moved, keys[1:])
        for one in [target, source, *[other for other in self.primaries() if other not in (target, source)]]:
            one.cli("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
        return moved
