"""The inbox as another system uses it: a plain socket to Redis, XADD, and an answer. No library of ours, none of anybody.
Arg 1: folder of the programs."""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import request, run, until  # noqa: E402

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class Redis:
    """Thirty lines are all that another language needs."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        return rest.decode()

    def ask(self, reply, *fields):
        """Puts an entry, waits for the next answer in `reply`."""
        last = (self("XREVRANGE", reply, "+", "-", "COUNT", 1) or [["0"]])[0][0]
        self("XADD", "f:{0}:in", "*", *fields)
        entry = until(lambda: self("XREAD", "COUNT", 1, "STREAMS", reply, last))[0][1][0][1]
        answer = dict(zip(entry[::2], entry[1::2]))
        answer["errors"] = json.loads(answer["errors"])
        return answer


def entries_are_answered_and_idempotent(fleet):
    d = fleet.dispatcher()
    redis = Redis(fleet.socket)
    text = json.dumps(request("crm-1", 111122223333))
    first = redis.ask("f:{0}:out", "request", text)
    assert first["status"] == "accepted" and first["external_ref"] == "crm-1" and first["errors"] == [], first
    assert d.get("/v1/imports/" + first["import_id"]).json["external_ref"] == "crm-1"
    second = redis.ask("f:replies:crm", "request", text, "reply", "f:replies:crm")
    assert (second["status"], second["import_id"]) == ("exists", first["import_id"]), second
    third = redis.ask("f:{0}:out", "request", json.dumps(request("crm-2", 111122223333)))
    assert third["status"] == "refused" and third["errors"][0]["code"] == "import.exists" and first["import_id"] in third["errors"][0]["detail"], third
    until(lambda: redis("XLEN", "f:{0}:in") == 0)
    assert redis("XPENDING", "f:{0}:in", "orgimport")[0] == 0


def crc64(data):
    """Redis's (Jones), which ends a DUMP."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def make_idle(redis, key, names, ms):
    """As if these consumers had last been seen that long ago: Redis's own dump, with their time set back."""
    redis.socket.sendall(b"*2\r\n$4\r\nDUMP\r\n$%d\r\n%s\r\n" % (len(key), key.encode()))
    dump = bytearray(redis.file.read(int(redis.file.readline()[1:-2]) + 2)[:-2])
    for name in names:
        at = dump.index(name.encode()) + len(name)
        dump[at:at + 8] = (int.from_bytes(dump[at:at + 8], "little") - ms).to_bytes(8, "little")
    dump[-8:] = crc64(dump[:-8]).to_bytes(8, "little")
    redis("RESTORE", key, 0, bytes(dump), "REPLACE")


def consumers_of_dispatchers_that_are_gone_are_deleted(fleet):
    redis = Redis(fleet.socket)
    names = lambda: {row[row.index("name") + 1] for row in redis("XINFO", "CONSUMERS", "f:{0}:in", "orgimport")}  # noqa: E731
    redis("XGROUP", "CREATE", "f:{0}:in", "orgimport", "0", "MKSTREAM")
    redis("XADD", "f:{0}:in", "*", "request", "{")
    for name in ("longgone", "holdsone", "justleft"):
        redis("XGROUP", "CREATECONSUMER", "f:{0}:in", "orgimport", name)
    redis("XREADGROUP", "GROUP", "orgimport", "holdsone", "COUNT", "1", "STREAMS", "f:{0}:in", ">")
    make_idle(redis, "f:{0}:in", ("longgone", "holdsone"), 700000)
    fleet.dispatcher()
    until(lambda: "longgone" not in names())
    left = names()
    assert {"holdsone", "justleft"} <= left, left  # an entry in hand; too short a silence
    assert redis("XPENDING", "f:{0}:in", "orgimport")[0] == 1


def poison_is_answered_and_never_blocks(fleet):
    fleet.dispatcher()
    redis = Redis(fleet.socket)
    poison = [("request", "{"), ("request", ""), ("nonsense", "x"), ("request", b"\xff\xfe"), ("request", "[]"), ("request", "7"),
              ("request", json.dumps(request("p", 5, colour="red"))), ("request", "[" * 5000),
              ("request", "x" * 1100000), ("request", '{"external_ref":"%s"}' % SECRET), ("request", json.dumps([request("a", 1), request("b", 2)]))]
    for fields in poison:
        answer = redis.ask("f:{0}:out", *fields)
        assert answer["status"] == "refused" and answer["import_id"] == "" and answer["errors"], (fields[0], answer)
        assert SECRET not in json.dumps(answer)
    for reply in ("f:{0}:in", "f:{0}:h", "other:stream", "f:{g}:refs"):
        answer = redis.ask("f:{0}:out", "request", json.dumps(request("q", 111122223333)), "reply", reply)
        assert answer["status"] == "refused" and answer["errors"][0]["code"] == "field.invalid", answer
    redis("SET", "f:replies:text", "not a stream")  # the import is made all the same, and the default stream says so
    odd = redis.ask("f:{0}:out", "request", json.dumps(request("good", 222233334444)), "reply", "f:replies:text")
    assert odd["status"] == "accepted" and odd["import_id"], odd
    good = redis.ask("f:{0}:out", "request", json.dumps(request("good", 222233334444)))
    assert good["status"] == "exists" and redis("ZCARD", "f:{0}:all") == 1


def entries_of_a_dead_dispatcher_are_taken_over(fleet):
    redis = Redis(fleet.socket)
    redis("XGROUP", "CREATE", "f:{0}:in", "orgimport", "0", "MKSTREAM")
    for i in range(3):
        redis("XADD", "f:{0}:in", "*", "request", json.dumps(request("dead-%d" % i, 100000000000 + i)))
    assert len(redis("XREADGROUP", "GROUP", "orgimport", "dead", "COUNT", 10, "STREAMS", "f:{0}:in", ">")[0][1]) == 3
    ids = [entry[0] for entry in redis("XPENDING", "f:{0}:in", "orgimport", "-", "+", 10)]
    for entry in ids[:2]:  # as if it had them for a minute; one of them came back five times
        redis("XCLAIM", "f:{0}:in", "orgimport", "dead", 0, entry, "IDLE", 60000, "RETRYCOUNT", 5 if entry == ids[0] else 1)
    fleet.dispatcher()
    answers = until(lambda: [a for a in [redis("XRANGE", "f:{0}:out", "-", "+")] if len(a) == 2])[0]
    by_entry = {dict(zip(a[1][::2], a[1][1::2]))["entry"]: dict(zip(a[1][::2], a[1][1::2])) for a in answers}
    assert by_entry[ids[0]]["status"] == "refused" and by_entry[ids[1]]["status"] == "accepted", by_entry
    # Acknowledged after the answer stands there; the third is not old enough.
    until(lambda: [entry[0] for entry in redis("XPENDING", "f:{0}:in", "orgimport", "-", "+", 10)] == [ids[2]])


def several_dispatchers_share_the_work(fleet):
    dispatchers = [fleet.dispatcher(), fleet.dispatcher()]
    redis = Redis(fleet.socket)
    for i in range(60):
        redis("XADD", "f:{0}:in", "*", "request", json.dumps(request("s-%d" % (i % 50), 100000000000 + i % 50)))
    answers = until(lambda: [a for a in [redis("XRANGE", "f:{0}:out", "-", "+")] if len(a) == 60], 40)[0]
    seen = [dict(zip(a[1][::2], a[1][1::2])) for a in answers]
    assert [one["status"] for one in seen].count("accepted") == 50 and [one["status"] for one in seen].count("exists") == 10
    assert len({one["import_id"] for one in seen}) == 50
    assert redis("ZCARD", "f:{0}:all") == 50 and dispatchers[0].post("/v1/audit").json["faults"] == []


if __name__ == "__main__":
    tests = [entries_are_answered_and_idempotent, consumers_of_dispatchers_that_are_gone_are_deleted, poison_is_answered_and_never_blocks, entries_of_a_dead_dispatcher_are_taken_over,
             several_dispatchers_share_the_work]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
