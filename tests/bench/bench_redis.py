"""One redis-server for all that is compared: same port, same files, emptied between runs; and what it says of itself."""
import os
import shutil
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Redis:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="orgimport-bench-")
        self.port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir, "--save", "", "--appendonly", "yes",
             "--maxmemory-policy", "noeviction", "--auto-aof-rewrite-percentage", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket = self.stream = None
        for _ in range(500):
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
                break
            except OSError:
                time.sleep(0.01)
        assert self.socket, "redis-server does not answer"
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    @property
    def url(self):
        return "redis://127.0.0.1:%d" % self.port

    def __call__(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))
        return self._reply()

    def _reply(self):
        line = self.stream.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        return rest.decode()

    def info(self, section):
        return dict(line.split(":", 1) for line in self("INFO", section).splitlines() if ":" in line)

    def cpu_us(self):
        """CPU of the main thread: what other people's load on the machine cannot lengthen much."""
        cpu = self.info("cpu")
        return 1e6 * (float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"]))

    def memory(self):
        return int(self.info("memory")["used_memory"])

    def fresh(self, fsync):
        """Empty, its file too, as if just begun."""
        self("FLUSHALL")
        self("FUNCTION", "FLUSH")
        self("SCRIPT", "FLUSH")
        self("CONFIG", "SET", "appendfsync", fsync)
        self("BGREWRITEAOF")
        while self.info("persistence")["aof_rewrite_in_progress"] != "0" or self.info("persistence")["aof_rewrite_scheduled"] != "0":
            time.sleep(0.02)
        self("CONFIG", "RESETSTAT")
        self("SLOWLOG", "RESET")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def cpu_of(pid):
    """User and system time of a process in microseconds."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")
