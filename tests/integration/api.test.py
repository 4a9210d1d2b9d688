"""The HTTP API against a real Redis: submit, read, decide, stream. Arg 1: folder of the programs."""
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import STEPS, TASK, Stream, request, run, until  # noqa: E402

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def count_imports(fleet):
    return sum(int(fleet.cli("ZCARD", "f:{%d}:all" % shard)) for shard in range(fleet.shards))


def problem(reply, status, code):
    assert reply.status == status, reply
    assert reply.headers["Content-Type"] == "application/problem+json"
    body = reply.json
    assert body["code"] == code and body["status"] == status, reply
    assert all(key in body for key in ("type", "title", "owner", "retryable", "fix", "detail")), reply
    return body


def needs_a_token(fleet):
    d = fleet.dispatcher()
    assert os.stat(fleet.token_file).st_mode & 0o777 == 0o600
    for token in (False, "Bearer wrong", "Basic abc", "Bearer " + fleet.token[:-1], "Bearer " + fleet.token + "x"):
        reply = d.get("/v1/imports", token=token)
        problem(reply, 401, "auth.required")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert d.get(path, token=False).status == 200, path
    assert d.get("/v1/imports").status == 200
    problem(d.get("/v1/nothing"), 404, "not_found")
    assert d.call("DELETE", "/v1/imports").status == 405
    problem(d.get("/v1/imports/imp_nothing"), 404, "not_found")
    problem(d.get("/v1/imports/imp_0011111111111111111111111"), 404, "not_found")
    problem(d.get("/v1/imports?limit=0"), 422, "field.invalid")
    problem(d.get("/v1/imports?state=asleep"), 422, "field.invalid")


def submits_reads_and_lists(fleet):
    d = fleet.dispatcher()
    reply = d.post("/v1/imports", request("a-1", 111122223333, id="acme42", labels={"tier": "gold"}))
    assert reply.status == 202, reply
    made = reply.json
    assert reply.headers["Location"] == "/v1/imports/" + made["id"]
    assert made["names"]["root_email"] == "awsops+acme42@doit-intl.com" and made["names"]["bucket"] == "doitintl-awsops-acme42"
    one = d.get(reply.headers["Location"])
    etag = one.headers["ETag"]
    assert one.json["state"] == "accepted" and one.json["livemode"] is False
    assert [step["name"] for step in one.json["steps"]] == STEPS
    assert d.get(reply.headers["Location"], headers={"If-None-Match": etag}).status == 304
    again = d.post("/v1/imports", request("a-1", 111122223333))
    assert again.status == 200 and again.json["id"] == made["id"] and again.json["existing"] is True, again
    by_ref = d.get("/v1/imports?external_ref=a-1").json["data"]
    assert [one["id"] for one in by_ref] == [made["id"]]
    assert d.get("/v1/imports?external_ref=nobody").json["data"] == []
    body = problem(d.post("/v1/imports", request("a-2", 111122223333)), 409, "import.exists")
    assert made["id"] in body["detail"], body
    body = problem(d.post("/v1/imports", request("a-1", 222233334444)), 409, "import.exists")
    assert made["id"] in body["detail"], body
    body = problem(d.post("/v1/imports", request("a-3", 333344445555, id="acme42")), 422, "field.invalid")
    assert "acme42" in body["detail"]
    # A refused submit leaves no name behind: the same external_ref works for another organization.
    assert d.post("/v1/imports", request("a-2", 222233334444)).status == 202
    assert d.post("/v1/imports", request("a-3", 333344445555)).status == 202
    assert count_imports(fleet) == 3


def pages_over_all_shards(fleet):
    d = fleet.dispatcher()
    made = [d.post("/v1/imports", request("p-%02d" % i, 100000000000 + i * 7919)).json["id"] for i in range(23)]
    assert len({one[4:6] for one in made}) > 1, "all in one shard"
    for query in ("", "&state=accepted"):
        seen, after = [], ""
        while True:
            page = d.get("/v1/imports?limit=5%s%s" % (query, after)).json
            assert len(page["data"]) <= 5
            seen += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                assert page["next"] is None
                break
            after = "&starting_after=" + page["next"]
        assert sorted(seen) == sorted(made), (len(seen), len(made))
    newest_first = [one["created_at"] for one in d.get("/v1/imports?limit=50").json["data"]]
    assert newest_first == sorted(newest_first, reverse=True)
    problem(d.get("/v1/imports?starting_after=hello"), 422, "field.invalid")


def bad_input_creates_nothing_and_echoes_no_key(fleet):
    d = fleet.dispatcher()
    bad = request("b-1", 111122223333, colour="red", labels={"note": KEY_ID}, mfa_mode="none")
    bad["organization"]["management_account_id"] = "1.11122E+11"
    reply = d.post("/v1/imports", bad)
    body = problem(reply, 422, "secret.in_input")
    assert {one["pointer"] for one in body["errors"]} == {"/colour", "/labels/note", "/mfa_mode", "/organization/management_account_id"}, body
    assert KEY_ID not in reply.body
    problem(d.post("/v1/imports", "{"), 400, "input.syntax")
    problem(d.post("/v1/imports", ""), 400, "input.syntax")
    problem(d.post("/v1/imports", b'{"external_ref":"\xff"}'), 400, "input.not_utf8")
    reply = d.post("/v1/imports", '{"external_ref":"%s' % SECRET)
    assert reply.status == 400 and SECRET not in reply.body
    csv = "external_ref,customer.name,organization.management_account_id\nr-1,A,111122223333\nr-2,%s,12\nr-1,C,111122223333\n" % SECRET
    reply = d.post("/v1/batches", csv, headers={"Content-Type": "text/csv"})
    body = problem(reply, 422, "secret.in_input")
    assert [(one["line"], one["field"], one["code"]) for one in body["errors"]] == [
        (3, "customer.name", "secret.in_input"), (3, "organization.management_account_id", "account_id.invalid"),
        (4, "external_ref", "row.duplicate"), (4, "organization.management_account_id", "row.duplicate")], body
    assert SECRET not in reply.body
    assert count_imports(fleet) == 0 and fleet.cli("SCARD", "f:{g}:bats") == "0" and fleet.cli("HLEN", "f:{g}:refs") == "0"


def refuses_100_mb_before_reading_it(fleet):
    d = fleet.dispatcher()
    host, port = d.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(("POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"
                        % (fleet.token, 100 << 20)).encode())
    answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413"), answer
    assert "input.too_large" in answer or "input.too_large" in connection.recv(65536).decode()
    connection.close()
    # Chunked, so that no length warns: the limit holds while reading.
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(("POST /v1/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n" % fleet.token).encode())
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for _ in range(20):
        connection.sendall(chunk)
    connection.sendall(b"0\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    connection.close()


def idempotency_keys_replay_and_refuse(fleet):
    d, e = fleet.dispatcher(), fleet.dispatcher()
    key = {"Idempotency-Key": "k-1"}
    first = d.post("/v1/imports", request("i-1", 111122223333), headers=key)
    assert first.status == 202 and "Idempotent-Replayed" not in first.headers
    second = e.post("/v1/imports", request("i-1", 111122223333), headers=key)
    assert (second.status, second.json, second.headers["Location"]) == (202, first.json, first.headers["Location"]), second
    assert second.headers["Idempotent-Replayed"] == "true"
    problem(d.post("/v1/imports", request("i-2", 222233334444), headers=key), 422, "idempotency.mismatch")
    # What was refused keeps no answer: mended, the key works.
    key = {"Idempotency-Key": "k-2"}
    problem(d.post("/v1/imports", {"external_ref": "i-3"}, headers=key), 422, "field.missing")
    assert d.post("/v1/imports", request("i-3", 333344445555), headers=key).status == 202
    # Under way: the key is held by somebody who has not answered yet.
    for name in fleet.cli("KEYS", "f:{g}:idem:*").split("\n"):
        fleet.cli("SET", name, "open " + fleet.cli("GET", name)[5:69])
    problem(e.post("/v1/imports", request("i-1", 111122223333), headers={"Idempotency-Key": "k-1"}), 409, "state.conflict")
    assert count_imports(fleet) == 2


def a_crash_between_name_and_shard_heals(fleet):
    d = fleet.dispatcher()
    made = d.post("/v1/imports", request("h-1", 111122223333)).json["id"]
    fleet.cli("HSET", "f:{g}:refs", "h-2", made[:-4] + "zzzz aws/222233334444")  # claimed, and then the dispatcher died
    reply = d.post("/v1/imports", request("h-2", 222233334444))
    assert reply.status == 202 and reply.json["id"] == made[:-4] + "zzzz", reply
    assert d.get("/v1/imports/" + reply.json["id"]).json["external_ref"] == "h-2"


def tasks_are_shown_answered_and_checked(fleet):
    d = fleet.dispatcher()
    asking = dict(TASK, attest=True, input={"key": "code", "label": "6-digit code", "pattern": "[0-9]{6}"})
    fleet.start_worker({"access_handover": {"outcome": "W", "party": "customer", "task": TASK, "until": "done"},
                        "mailbox_ready": {"outcome": "W", "party": "operator", "task": dict(asking, party="operator"), "until": "done"},
                        "org_identify": {"outcome": "W", "party": "aws"}})
    made = [d.post("/v1/imports", request("t-%d" % i, 100000000000 + i * 7919)).json["id"] for i in range(4)]
    until(lambda: len(d.get("/v1/tasks").json["data"]) == 8)
    tasks = d.get("/v1/tasks?party=operator").json["data"]
    assert len(tasks) == 4 and {one["step"] for one in tasks} == {"mailbox_ready"}
    assert len(d.get("/v1/tasks?import_id=" + made[0]).json["data"]) == 2
    seen, after = [], ""
    while True:
        page = d.get("/v1/tasks?limit=3" + after).json
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = "&starting_after=" + page["next"]
    assert len(seen) == len(set(seen)) == 8, seen
    task = d.get("/v1/tasks/tsk_%s.mailbox_ready" % made[0][4:]).json
    assert task["import_id"] == made[0] and task["external_ref"] == "t-0" and task["opened_at"] and task["due_at"] and task["title"] == TASK["title"]
    view = until(lambda: [v for v in [d.get("/v1/imports/" + made[0]).json] if v["state"] == "waiting"])[0]
    assert view["blocking"]["party"] in ("customer", "operator") and view["blocking"]["step"] in ("access_handover", "mailbox_ready"), view["blocking"]
    assert [one["task_id"] for one in view["steps"] if one["name"] == "mailbox_ready"] == [task["id"]]
    path = "/v1/tasks/" + task["id"]
    body = problem(d.post(path + ":done", {"by": "jdoe"}), 422, "field.missing")
    assert {one["pointer"] for one in body["errors"]} == {"/note", "/code"}
    problem(d.post(path + ":done", {"by": "jdoe", "note": "x", "code": "12345"}), 422, "field.invalid")
    problem(d.post(path + ":done", {"by": "jdoe", "note": KEY_ID, "code": "123456"}), 422, "secret.in_input")
    problem(d.post(path + ":done", {"note": "x", "code": "123456"}), 422, "field.missing")
    problem(d.post(path + ":done", {"by": "a", "note": "x", "code": "123456", "second_person": "a"}), 422, "field.invalid")
    problem(d.post("/v1/tasks/tsk_%s.nothing:done" % made[0][4:], {"by": "a"}), 404, "not_found")
    assert d.post(path + ":done", {"by": "jdoe", "note": "read the mail", "code": "123456"}).status == 200
    until(lambda: [s["state"] for s in d.get("/v1/imports/" + made[0]).json["steps"] if s["name"] == "mailbox_ready"] == ["DONE"])
    problem(d.get(path), 409, "state.conflict")
    assert d.post("/v1/tasks/tsk_%s.access_handover:recheck" % made[0][4:]).status == 200
    ledger = d.get("/v1/imports/%s/ledger" % made[0]).json["data"]
    lines = [line for line in ledger if line.get("what") == "done"]
    assert lines and lines[0]["by"] == "jdoe" and "123456" not in json.dumps(ledger), ledger
    assert d.post("/v1/tasks/tsk_%s.access_handover:reject" % made[1][4:], {"by": "jdoe", "reason": "not agreed"}).status == 200


def decisions_are_made_and_recorded(fleet):
    d = fleet.dispatcher()
    error = {"code": "aws.quota", "owner": "customer", "retry": "ask", "text": "quota used up", "fix": "raise it"}
    fleet.start_worker({"access_handover": {"outcome": "F", "error": error}, "mailbox_ready": {"outcome": "D"}})
    made = d.post("/v1/imports", request("d-1", 111122223333)).json["id"]
    path = "/v1/imports/" + made
    view = until(lambda: [v for v in [d.get(path).json] if v["state"] == "failed"])[0]
    assert view["error"]["code"] == "aws.quota" and view["error"]["step"] == "access_handover" and view["blocking"]["party"] == "customer", view
    fleet.play({"org_identify": {"outcome": "H", "party": "operator", "error": dict(error, code="proof.unexplained", owner="operator"), "until": "accept"},
                "admin_access": {"outcome": "W", "party": "aws"}})
    problem(d.post(path + ":accept", {"reason": "fine"}), 409, "state.conflict")
    problem(d.post(path + ":retry", {"step": "nothing"}), 404, "not_found")
    assert d.post(path + ":retry", {"step": "access_handover", "by": "jdoe", "reason": "raised"}).status == 200
    view = until(lambda: [v for v in [d.get(path).json] if v["state"] == "held"])[0]
    assert view["blocking"]["step"] == "org_identify" and view["error"]["code"] == "proof.unexplained", view["blocking"]
    problem(d.post(path + ":accept", {"by": "jdoe"}), 422, "field.missing")
    assert d.post(path + ":accept", {"by": "jdoe", "reason": "agreed with the customer"}).status == 200
    until(lambda: [s["state"] for s in d.get(path).json["steps"] if s["name"] == "org_identify"] == ["DONE"])
    assert d.post(path + ":pause", {"reason": "a break", "by": "jdoe"}).json["state"] == "paused"
    assert d.post(path + ":resume").json["state"] in ("running", "waiting")
    problem(d.post(path + ":cancel", {"keep": False}), 422, "field.missing")  # undo asks who and why
    assert d.post(path + ":cancel", {"reason": "withdrawn", "by": "jdoe", "keep": True}).status == 200
    until(lambda: d.get(path).json["state"] == "cancelled")
    problem(d.post(path + ":pause"), 409, "state.conflict")
    lines = d.get(path + "/ledger").json["data"]
    assert [line["what"] for line in lines if line["step"] == ""] == ["retry", "accept", "pause", "resume", "cancel"], lines
    assert all(line["by"] == "jdoe" for line in lines if line["what"] in ("retry", "accept", "cancel"))
    assert d.get("/v1/imports?state=cancelled").json["data"][0]["id"] == made
    # A cancelled import stays what it is, unless a new run is asked for.
    assert d.post("/v1/imports", request("d-1", 111122223333)).json["id"] == made
    again = d.post("/v1/imports", request("d-1", 111122223333, options={"rerun": True}))
    assert again.status == 202 and again.json["id"] != made, again
    assert d.post("/v1/imports", request("d-1", 111122223333, options={"rerun": True})).json["id"] == again.json["id"]
    old, new = d.get(path).json, d.get("/v1/imports/" + again.json["id"]).json
    assert old["names"] == new["names"]


def verdict_exposure_and_big_results(fleet):
    d = fleet.dispatcher()
    fleet.start_worker({"root_mfa_handover": {"result": {"mode": "classic", "exposure_opened_ms": 1700000000000, "grade": "probed"}},
                        "root_mfa": {"result": {"exposure_closed_ms": 1700000600000, "grade": "cloudtrail"}},
                        "fingerprint_after": {"big": True, "result": {"verdict": "PROVEN", "grade": "probed", "warnings": ["first delivery not observed"],
                                                                      "sections": ["x" * 3000]}}})
    made = d.post("/v1/imports", request("v-1", 111122223333)).json["id"]
    view = until(lambda: [v for v in [d.get("/v1/imports/" + made).json] if v["state"] == "completed"])[0]
    assert view["verdict"] == "PROVEN" and view["exposure"] == {"open": False, "opened_at": "2023-11-14T22:13:20Z", "closed_at": "2023-11-14T22:23:20Z"}, view
    assert view["warnings"] == [{"step": "fingerprint_after", "text": "first delivery not observed"}]
    assert view["progress"] == {"done": 23, "total": 23}, view["progress"]
    after = [s for s in view["steps"] if s["name"] == "fingerprint_after"][0]
    assert "$blob" in after["result"] and "sections" not in after["result"] and after["grade"] == "probed"
    whole = [s for s in d.get("/v1/imports/%s?expand=results" % made).json["steps"] if s["name"] == "fingerprint_after"][0]
    assert whole["result"]["sections"] == ["x" * 3000]
    listed = d.get("/v1/imports?state=completed").json["data"][0]
    assert listed["verdict"] == "PROVEN" and "steps" not in listed
    audit = d.post("/v1/audit").json
    assert audit["faults"] == [], audit


def credentials_are_sealed_at_once(fleet):
    os.mkdir(fleet.keys)
    d = fleet.dispatcher()
    made = d.post("/v1/imports", request("c-1", 111122223333)).json["id"]
    role = d.post("/v1/imports", request("c-2", 222233334444, access={"method": "role", "role_arn": "arn:aws:iam::222233334444:role/X"})).json["id"]
    path = "/v1/imports/%s/credential" % made
    problem(d.get("/v1/sealing-key"), 404, "not_found")
    clear = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
    assert d.put(path, clear).status == 422  # no key to seal to: refused, and nothing kept
    with open(os.path.join(fleet.keys, "seal-2026-11-23.1.pub"), "w", encoding="utf-8") as file:
        file.write("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n")  # the public key of RFC 7748, section 6.1
    assert d.get("/v1/sealing-key").json["epoch"] == "2026-11-23.1"
    assert d.put(path, clear).json == {"import_id": made, "credential": "sealed"}
    shard = int(made[4:6], 16)
    stored = json.loads(fleet.cli("--raw", "HGET", "f:{%d}:h" % shard, made + ":c"))
    assert set(stored) == {"epoch", "sealed"}, stored
    assert d.put(path, {"sealed": stored}).status == 200
    problem(d.put(path, {"sealed": {"epoch": "x", "sealed": "not base64!"}}), 422, "field.invalid")
    problem(d.put(path, dict(clear, colour="red")), 422, "field.invalid")
    problem(d.put(path, {"access_key_id": KEY_ID}), 422, "field.missing")
    problem(d.put("/v1/imports/%s/credential" % role, clear), 409, "state.conflict")
    assert d.call("GET", path).status == 405
    everything = fleet.cli("--raw", "EVAL", "local out = {} for _, k in ipairs(redis.call('KEYS', '*')) do out[#out + 1] = redis.call('DUMP', k) end "
                           "return tostring(string.find(table.concat(out), ARGV[1], 1, true))", "0", SECRET)
    assert everything == "nil" and SECRET not in open(d.log.name, encoding="utf-8").read()


def events_go_on_where_a_client_left(fleet):
    d, e = fleet.dispatcher(), fleet.dispatcher()
    stream = Stream(d)
    assert stream.status == 200
    stream.place()
    first = d.post("/v1/imports", request("e-1", 111122223333)).json["id"]
    place, kind, data = stream.event()
    assert (kind, data["import_id"], data["external_ref"], data["state"]) == ("import.state", first, "e-1", "accepted"), data
    stream.close()
    others = [e.post("/v1/imports", request("e-%d" % i, 100000000000 + i * 7919)).json["id"] for i in range(2, 8)]
    stream = Stream(e, last_id=place)  # the other dispatcher: places are the fleet's
    missed = [stream.event()[2]["import_id"] for _ in others]
    assert sorted(missed) == sorted(others), (missed, others)
    stream.close()
    one = Stream(d, "?import_id=" + others[0], last_id=",".join(["0"] * fleet.shards))
    assert one.event()[2]["import_id"] == others[0]
    fleet.start_worker({"access_handover": {"outcome": "W", "task": TASK}, "mailbox_ready": {"outcome": "W", "party": "operator", "task": dict(TASK, party="operator")}})
    kinds = set()
    while "task.opened" not in kinds or "step.state" not in kinds:
        _, kind, data = one.event()
        assert data["import_id"] == others[0]
        if "step" in data:
            assert data["step"] in STEPS
        kinds.add(kind)
    one.close()
    problem(d.get("/v1/events", headers={"Last-Event-ID": "yesterday"}), 422, "field.invalid")
    left = Stream(d)  # open while the dispatcher stops: it must end, not hang
    left.place()
    d.stop()
    assert left.answer.read() is not None
    left.close()


def profiles_are_versioned_and_taken_over(fleet):
    d, e = fleet.dispatcher(), fleet.dispatcher()
    profile = d.get("/v1/profiles/doit").json
    assert profile["version"] == 1 and isinstance(profile["roles"]["cmp"]["trust"], dict)
    broken = json.loads(json.dumps(profile))
    broken["naming"]["bucket"] = "x-{nobody_knows}"
    body = problem(d.put("/v1/profiles/doit", broken), 422, "profile.invalid")
    assert body["errors"][0]["code"] == "variable.undefined" and body["errors"][0]["pointer"] == "/naming"
    changed = dict(profile, custodians=["Vault", "Safe"])
    problem(d.put("/v1/profiles/doit", changed), 409, "state.conflict")
    changed["version"] = 2
    problem(d.put("/v1/profiles/other", changed), 422, "profile.invalid")
    assert d.put("/v1/profiles/doit", changed).json["version"] == 2
    assert d.put("/v1/profiles/doit", changed).status == 200
    assert d.get("/v1/profiles/doit@1").json["version"] == 1
    problem(d.get("/v1/profiles/nobody"), 404, "not_found")
    until(lambda: e.get("/v1/fleet").json["profile"]["version"] == 2)
    made = e.post("/v1/imports", request("o-1", 111122223333)).json["id"]
    assert e.get("/v1/imports/" + made).json["profile"]["version"] == 2


def catalogues_metrics_and_health(fleet):
    d = fleet.dispatcher()
    d.post("/v1/imports", request("m-1", 111122223333))
    text = d.get("/metrics", token=False).body
    assert re.search(r'^orgimport_imports\{shard="\d+",state="accepted"\} 1$', text, re.M), text
    assert "orgimport_redis_up 1" in text and 'orgimport_imports_submitted_total{result="accepted"} 1' in text
    for line in text.splitlines():
        assert re.fullmatch(r"#.*|[a-z_0-9]+(\{[^}]*\})? -?[0-9.]+", line), line
    errors = {one["code"]: one for one in d.get("/v1/errors").json["data"]}
    assert errors["role.name_taken"]["owner"] == "customer" and all(one["fix"] for one in errors.values())
    assert [one["name"] for one in d.get("/v1/playbooks").json["data"]] == ["payer-handover", "payer-record"]
    assert d.get("/readyz", token=False).json == {"ready": True, "redis": True}


def overload_and_lost_redis_are_told(fleet):
    d = fleet.dispatcher()
    os.kill(fleet.redis.pid, 19)  # SIGSTOP: Redis hangs, requests pile up
    host, port = d.address.rsplit(":", 1)
    line = ("GET /v1/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % fleet.token).encode()
    sockets, answers = [], []
    try:
        for _ in range(530):
            one = socket.create_connection((host, int(port)), timeout=60)
            one.sendall(line)
            sockets.append(one)
        busy = until(lambda: [r for r in [d.get("/v1/imports", timeout=60)] if r.status == 429])[0]
        problem(busy, 429, "rate.limited")
        assert busy.headers["Retry-After"] == "1"
        assert d.get("/healthz", token=False).status == 200
        answers = [one.recv(12) for one in sockets[:3]]
        assert all(answer == b"HTTP/1.1 503" for answer in answers), answers  # the deadline, not a hang
    finally:
        os.kill(fleet.redis.pid, 18)
        for one in sockets:
            one.close()
    until(lambda: d.get("/v1/imports").status == 200, 40)
    fleet.redis.kill()
    fleet.redis.wait()
    until(lambda: d.get("/readyz", token=False).status == 503)
    problem(d.get("/v1/imports"), 503, "redis.unavailable")
    fleet.start_redis()
    until(lambda: d.get("/v1/imports").status == 200, 40)


def misconfiguration_is_loud(fleet):
    import subprocess
    program = os.path.join(fleet.bin, "orgimport-dispatcher")
    good = {"--redis": "unix://" + fleet.socket, "--token-file": fleet.token_file, "--mode": "sim", "--listen": "127.0.0.1:0"}
    short = os.path.join(fleet.dir, "short")
    with open(short, "w", encoding="utf-8") as file:
        file.write("abc\n")
    broken = os.path.join(fleet.dir, "broken.json")
    with open(broken, "w", encoding="utf-8") as file:
        file.write('{"name":"x"}')
    for change, word in (({"--redis": None}, "redis"), ({"--token-file": None}, "token-file"), ({"--token-file": short}, "16 characters"),
                         ({"--listen": "nowhere"}, "listen"), ({"--profile": broken}, "profile"), ({"--profile": "/nowhere.json"}, "nowhere"),
                         ({"--mode": "maybe"}, "mode"), ({"--colour": "red"}, "colour")):
        flags = ["%s=%s" % item for item in dict(good, **change).items() if item[1] is not None]
        done = subprocess.run([program, *flags], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2 and word in done.stderr, (change, done.returncode, done.stderr)
    d = fleet.dispatcher()
    live = subprocess.run([program, *["%s=%s" % item for item in dict(good, **{"--mode": "live"}).items()]], capture_output=True, text=True, timeout=30, check=False)
    assert live.returncode == 2 and "fleet.mode" in live.stderr, live.stderr
    d.stop()


SINGLE = [needs_a_token, submits_reads_and_lists, bad_input_creates_nothing_and_echoes_no_key, refuses_100_mb_before_reading_it,
          idempotency_keys_replay_and_refuse, a_crash_between_name_and_shard_heals, tasks_are_shown_answered_and_checked,
          decisions_are_made_and_recorded, verdict_exposure_and_big_results, credentials_are_sealed_at_once, events_go_on_where_a_client_left,
          profiles_are_versioned_and_taken_over, catalogues_metrics_and_health, overload_and_lost_redis_are_told, misconfiguration_is_loud,
          pages_over_all_shards]


def with_shards(test):
    return test.__name__ in ("pages_over_all_shards", "tasks_are_shown_answered_and_checked", "events_go_on_where_a_client_left", "submits_reads_and_lists")


if __name__ == "__main__":
    wanted = sys.argv[2:]
    tests = [test for test in SINGLE if not wanted or test.__name__ in wanted]
    run([(test, 4 if with_shards(test) else 1) for test in tests], sys.argv[1])
