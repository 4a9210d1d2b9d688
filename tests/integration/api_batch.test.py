"""Bulk: checked whole, durable first, created after a kill -9, by whichever dispatcher is there. Arg 1: folder of the programs."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402

HEAD = "external_ref,customer.name,organization.management_account_id,roles,contacts.cloud_admin.email,labels.tier\n"
CSV = {"Content-Type": "text/csv"}


def rows(count, start=0):
    return HEAD + "".join('r-%05d,"Customer, no. %d",%012d,cmp;awsadmin,admin%d@customer.example,gold\n' % (i, i, 100000000000 + i * 7, i)
                          for i in range(start, start + count))


def finished(d, batch, seconds=60):
    return until(lambda: [b for b in [d.get("/v1/batches/" + batch).json] if b["state"] == "done"], seconds)[0]


def refs(fleet):
    return int(fleet.cli("HLEN", "f:{g}:refs"))


def all_forms_make_the_same_imports(fleet):
    d = fleet.dispatcher()
    reply = d.post("/v1/batches?dry_run=1", rows(3), headers=CSV)
    assert reply.status == 200 and reply.json["rows"] == 3 and refs(fleet) == 0, reply
    reply = d.post("/v1/batches", rows(3), headers=CSV)
    assert reply.status == 202 and reply.json["rows"] == 3 and reply.headers["Location"] == "/v1/batches/" + reply.json["id"], reply
    first = finished(d, reply.json["id"])
    assert (first["done"], first["failed"], [one["line"] for one in first["results"]]) == (3, 0, [2, 3, 4]), first
    assert {one["status"] for one in first["results"]} == {"accepted"}
    lines = [{"external_ref": "r-%05d" % i, "customer": {"name": "Customer, no. %d" % i}, "organization": {"management_account_id": "%012d" % (100000000000 + i * 7)}}
             for i in range(4)]
    reply = d.post("/v1/batches", "\n".join(json.dumps(one) for one in lines) + "\n", headers={"Content-Type": "application/jsonl"})
    second = finished(d, reply.json["id"])
    assert [one["status"] for one in second["results"]] == ["exists"] * 3 + ["accepted"], second
    assert [one["import_id"] for one in second["results"][:3]] == [one["import_id"] for one in first["results"]]
    reply = d.post("/v1/batches", lines, headers={"Content-Type": "application/json"})
    third = finished(d, reply.json["id"])
    assert [one["status"] for one in third["results"]] == ["exists"] * 4
    one = d.get("/v1/imports/" + first["results"][0]["import_id"]).json
    assert one["labels"] == {"tier": "gold"} and one["contacts"] == [{"role": "cloud_admin", "email": "admin0@customer.example"}]
    assert d.post("/v1/batches", "x", headers={"Content-Type": "image/png"}).status == 422
    assert d.get("/v1/batches/bat_nothing").status == 404


def one_bad_row_stops_all(fleet):
    d = fleet.dispatcher()
    text = rows(500) + "r-bad,B,1.2E+11,,,\n"
    reply = d.post("/v1/batches", text, headers=CSV)
    assert reply.status == 422 and reply.json["errors"] == [dict(reply.json["errors"][0], line=502, field="organization.management_account_id",
                                                                 code="account_id.invalid")], reply
    assert refs(fleet) == 0 and fleet.cli("KEYS", "f:{g}:bat:*") == ""
    for body, code in (("", "input.syntax"), ('a,"b\n1,2\n', "input.syntax"), (b"external_ref\n\xff\n", "input.not_utf8")):
        reply = d.post("/v1/batches", body, headers=CSV)
        assert reply.json["code"] == code, (body, reply)


def a_row_that_the_fleet_refuses_is_told_in_its_result(fleet):
    d = fleet.dispatcher()
    d.post("/v1/imports", {"external_ref": "other", "customer": {"name": "A"}, "organization": {"management_account_id": "100000000007"}})
    batch = finished(d, d.post("/v1/batches", rows(3), headers=CSV).json["id"])
    assert [one["status"] for one in batch["results"]] == ["accepted", "refused", "accepted"], batch
    assert batch["results"][1]["code"] == "import.exists" and batch["failed"] == 1 and batch["results"][1]["import_id"] is None


def rows_of_a_batch_are_one_group(fleet):
    """Unless a row names its own; a class makes a group of its own; who comes alone and names none stands in the ring by itself."""
    d = fleet.dispatcher()
    lines = [{"external_ref": "g-%d" % i, "customer": {"name": "C"}, "organization": {"management_account_id": "%012d" % (3000 + i)}} for i in range(6)]
    lines[4].update(group="acme", priority="urgent")
    lines[5].update(priority="bulk")
    batch = finished(d, d.post("/v1/batches", lines, headers={"Content-Type": "application/json"}).json["id"])
    assert batch["done"] == 6, batch
    views = [d.get("/v1/imports/" + one["import_id"]).json for one in batch["results"]]
    assert [(v["group"], v["priority"]) for v in views] == [(batch["id"], "normal")] * 4 + [("acme", "urgent"), (batch["id"], "bulk")], views
    alone = {"external_ref": "g-9", "customer": {"name": "C"}, "organization": {"management_account_id": "000000003009"}}
    made = d.post("/v1/imports", alone).json
    assert made["priority"] == "normal" and "group" not in made, made
    with_acme = d.post("/v1/imports", dict(alone, external_ref="g-10", group="acme", priority="urgent",
                                           organization={"management_account_id": "000000003010"})).json
    assert (with_acme["group"], with_acme["priority"]) == ("acme", "urgent"), with_acme
    ring = fleet.cli("ZRANGE", "f:{0}:ring", "0", "-1").split()
    assert len(ring) == 4 and made["id"] in ring and sum(one.startswith("g:") for one in ring) == 3, ring
    listed = {one["external_ref"]: one for one in d.get("/v1/imports?limit=100").json["data"]}
    assert listed["g-4"]["group"] == "acme" and listed["g-4"]["priority"] == "urgent" and listed["g-9"]["priority"] == "normal"


def keys_of_batches_replay(fleet):
    d = fleet.dispatcher()
    first = d.post("/v1/batches", rows(2), headers=dict(CSV, **{"Idempotency-Key": "b-1"}))
    again = d.post("/v1/batches", rows(2), headers=dict(CSV, **{"Idempotency-Key": "b-1"}))
    assert again.json == first.json and again.headers["Idempotent-Replayed"] == "true"
    assert d.post("/v1/batches", rows(3), headers=dict(CSV, **{"Idempotency-Key": "b-1"})).status == 422


def goes_on_after_kill_9(fleet):
    d = fleet.dispatcher()
    batch = d.post("/v1/batches", rows(1500), headers=CSV).json["id"]
    until(lambda: d.get("/v1/batches/" + batch).json["done"] > 50)
    d.kill()
    made = refs(fleet)
    assert 0 < made < 1500, "killed too late to show anything: %d" % made
    fleet.cli("DEL", "f:{g}:bat:%s:lease" % batch)  # what 10 seconds of waiting would do
    e = fleet.dispatcher()
    result = finished(e, batch, 120)
    assert (result["done"], result["failed"], len(result["results"])) == (1500, 0, 1500), (result["done"], result["failed"])
    ids = {one["import_id"] for one in result["results"]}
    assert len(ids) == 1500 and refs(fleet) == 1500 and int(fleet.cli("ZCARD", "f:{0}:all")) == 1500
    assert fleet.cli("SCARD", "f:{g}:bats") == "0"


def another_dispatcher_takes_over_an_expired_lease(fleet):
    d, e = fleet.dispatcher(), fleet.dispatcher()
    batch = d.post("/v1/batches", rows(400), headers=CSV).json["id"]
    assert finished(e, batch)["done"] == 400
    fleet.cli("SET", "f:{g}:bat:%s:lease" % batch, "somebody", "PX", "1500")
    fleet.cli("HDEL", "f:{g}:bat:%s:res" % batch, "7")
    fleet.cli("HSET", "f:{g}:bat:%s" % batch, "state", "open", "done", "399")
    fleet.cli("SADD", "f:{g}:bats", batch)
    result = finished(d, batch)
    assert result["done"] == 400 and [one["status"] for one in result["results"]].count("exists") == 1


def a_large_batch_does_not_hold_up_a_small_one(fleet):
    d = fleet.dispatcher()
    large = d.post("/v1/batches", rows(6000), headers=CSV, timeout=60).json["id"]
    small = d.post("/v1/batches", rows(3, start=7000), headers=CSV).json["id"]
    finished(d, small)
    assert int(fleet.cli("HGET", "f:{g}:bat:" + large, "done")) < 6000


def ten_thousand_rows_do_not_stop_the_loop(fleet):
    d = fleet.dispatcher()
    reply = d.post("/v1/batches", rows(10000), headers=CSV, timeout=120)
    assert reply.status == 202 and reply.json["rows"] == 10000, reply
    asked = 0
    while d.get("/v1/batches/" + reply.json["id"], timeout=60).json["done"] < 1000:
        assert d.get("/healthz", token=False, timeout=5).status == 200
        asked += 1
    assert asked >= 1 or refs(fleet) >= 1000


def accepted_when_the_replica_has_it(fleet):
    """The replica is a real server that is stopped: nobody is told of an acceptance that a failover would take back."""
    port = open_port(fleet)
    replica = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", fleet.socket + ".replica", "--dir", fleet.dir, "--save", "",
                                "--dbfilename", "replica.rdb", "--replicaof", "127.0.0.1 %d" % port], stdout=subprocess.DEVNULL)
    fleet.others.append(replica)
    until(lambda: "state=online" in fleet.cli("INFO", "replication"))
    d = fleet.dispatcher()
    key = {"Idempotency-Key": "batch-1", **CSV}
    replica.send_signal(signal.SIGSTOP)
    reply = d.post("/v1/batches", rows(3), headers=key)
    assert reply.status == 503 and "1 replicas" in reply.json["detail"], reply
    replica.send_signal(signal.SIGCONT)
    reply = until(lambda: [one for one in [d.post("/v1/batches", rows(3), headers=key)] if one.status != 503], 30)[0]
    assert reply.status == 202, reply
    assert finished(d, reply.json["id"])["done"] == 3 and refs(fleet) == 3


def open_port(fleet):
    for port in range(32000 + os.getpid() % 1000, 34000):
        if fleet.cli("CONFIG", "SET", "port", str(port), check=False) == "OK":
            return port
    raise AssertionError("no free port")


if __name__ == "__main__":
    tests = [all_forms_make_the_same_imports, one_bad_row_stops_all, a_row_that_the_fleet_refuses_is_told_in_its_result, rows_of_a_batch_are_one_group, keys_of_batches_replay,
             goes_on_after_kill_9, accepted_when_the_replica_has_it, another_dispatcher_takes_over_an_expired_lease, a_large_batch_does_not_hold_up_a_small_one, ten_thousand_rows_do_not_stop_the_loop]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
