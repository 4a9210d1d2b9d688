"""Drives every path of the OpenAPI document: what it promises is what comes. Arg 1: folder of the programs."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import SOURCE, TASK, Stream, request, run, until  # noqa: E402


def types_of(schema):
    kinds = schema.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


IS = {"object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "string": lambda v: isinstance(v, str), "null": lambda v: v is None,
      "integer": lambda v: isinstance(v, int) and not isinstance(v, bool), "boolean": lambda v: isinstance(v, bool)}


def faults(doc, schema, value, where="body"):
    """The part of JSON Schema that the document uses."""
    if "$ref" in schema:
        target = doc
        for part in schema["$ref"].split("/")[1:]:
            target = target[part]
        return faults(doc, target, value, where)
    if "oneOf" in schema:
        every = [faults(doc, one, value, where) for one in schema["oneOf"]]
        return [] if [] in every else every[-1]
    if "const" in schema and value != schema["const"]:
        return ["%s is %r, not %r" % (where, value, schema["const"])]
    if "enum" in schema and value not in schema["enum"]:
        return ["%s is %r, not one of %s" % (where, value, schema["enum"])]
    if types_of(schema) and not any(IS[kind](value) for kind in types_of(schema)):
        return ["%s is %r, not %s" % (where, value, schema["type"])]
    found = []
    if isinstance(value, dict):
        found += ["%s lacks %s" % (where, key) for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if inner is False:
                found.append("%s has %s" % (where, key))
            elif isinstance(inner, dict):
                found += faults(doc, inner, item, where + "." + key)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += faults(doc, schema["items"], item, "%s[%d]" % (where, index))
    return found


def check_answer(doc, operation, reply, what):
    answer = operation["responses"].get(str(reply.status))
    assert answer, "%s answered %s, which is not documented: %s" % (what, reply.status, reply.body[:500])
    if "$ref" in answer:
        answer = doc["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    if "content" not in answer:
        return
    kind = reply.headers["Content-Type"].split(";")[0]
    assert kind in answer["content"], (what, kind, list(answer["content"]))
    if kind.endswith("json"):
        found = faults(doc, answer["content"][kind]["schema"], reply.json)
        assert not found, "%s: %s" % (what, found[:5])


HASH = "5" * 64
PLANNED = {"change_plan": {"outcome": "D", "result": {"plan": {"hash": HASH, "pinned": {}}, "hash": HASH}},
           "plan_approval": {"outcome": "W", "party": "operator", "task": dict(TASK, party="operator"), "until": "accept"}}


def prepare(fleet):
    """A fleet in which every path has something to show."""
    os.mkdir(fleet.keys)
    with open(os.path.join(fleet.keys, "seal-2026-11-23.1.pub"), "w", encoding="utf-8") as file:
        file.write("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n")
    signing = os.path.join(fleet.dir, "signing.key")
    with open(os.open(signing, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write("nWGxne/9WmC6hEr0ku3CKsRESWlybMgZcDocrC5yr2A=\n")
    d = fleet.dispatcher("--signing-key-file=" + signing)
    failed = {"code": "aws.quota", "owner": "customer", "retry": "ask", "text": "used up", "fix": "raise it"}
    fleet.start_worker({"access_handover": {"outcome": "W", "task": TASK}, "mailbox_ready": {"outcome": "W", "party": "operator", "task": dict(TASK, party="operator")}})
    held = d.post("/v1/imports", request("held", 111122223333)).json["id"]
    until(lambda: len(d.get("/v1/tasks").json["data"]) == 2)
    batch = d.post("/v1/batches", "external_ref,customer.name,organization.management_account_id\nb-1,B,222233334444\n", headers={"Content-Type": "text/csv"}).json["id"]
    until(lambda: d.get("/v1/batches/" + batch).json["state"] == "done")
    fleet.play({"org_identify": {"outcome": "H", "party": "operator", "error": failed}, "mailbox_ready": {"outcome": "W", "party": "operator", "task": dict(TASK, party="operator")}})
    for _ in range(2):  # both steps look again: one goes on to the hold, the other asks again
        d.post("/v1/tasks/tsk_%s.access_handover:recheck" % held[4:])
    until(lambda: d.get("/v1/imports/" + held).json["state"] == "held" or d.post("/v1/tasks/tsk_%s.access_handover:recheck" % held[4:]) and False)
    until(lambda: len(d.get("/v1/tasks?import_id=" + held).json["data"]) == 1)
    fleet.play(dict(PLANNED, access_handover={"outcome": "D"}))
    planned = d.post("/v1/imports", request("planned", 111122224444, options={"plan": True})).json["id"]
    until(lambda: d.get("/v1/imports/%s/plan" % planned).status == 200 and d.get("/v1/tasks?import_id=" + planned).json["data"])
    fleet.play({"org_identify": {"outcome": "H", "party": "operator", "error": failed}, "mailbox_ready": {"outcome": "W", "party": "operator", "task": dict(TASK, party="operator")}, **PLANNED})
    return d, {"planned": planned, "imports": held, "batches": batch, "tasks": "tsk_%s.mailbox_ready" % held[4:], "profiles": "doit"}


# Written last, in this order: each takes away what the others need.
ORDER = ["haltFleet", "releaseFleet", "getPlan", "approvePlan", "applyPlan", "acceptImport", "pauseImport", "resumeImport", "retryImport", "recheckTask", "doneTask", "rejectTask", "cancelImport", "undoImport"]
MAY_FAIL = {"lookForDrift": 409, "rejectTask": 409, "retryImport": 409, "acceptImport": 409}  # the state may have moved on; then the conflict is the documented answer


def operations(doc):
    every = [(path, method, operation) for path, item in doc["paths"].items() for method, operation in item.items()]
    return sorted(every, key=lambda one: ORDER.index(one[2]["operationId"]) if one[2]["operationId"] in ORDER else -1)


def body_of(operation, d):
    content = operation.get("requestBody", {}).get("content", {})
    if operation["operationId"] == "putProfile":
        return dict(d.get("/v1/profiles/doit").json, version=7), {}
    if operation["operationId"] == "putCredential":
        return {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, {}
    for kind, one in content.items():
        if "example" in one:
            example = json.loads(json.dumps(one["example"]))
            if operation["operationId"] == "createImport":
                example["organization"]["management_account_id"] = "999911112222"
            if operation["operationId"] == "createBatch":
                example = example.replace("b-1", "b-2").replace("222233334444", "333344445555")
            return example, {"Content-Type": kind}
    return None, {}


def every_path_keeps_its_promise(fleet):
    d, known = prepare(fleet)
    doc = d.get("/openapi.json", token=False).json
    assert doc["openapi"] == "3.1.0"
    driven = 0
    for path, method, operation in operations(doc):
        what = "%s %s" % (method.upper(), path)
        is_planned = operation["operationId"] in ("getPlan", "approvePlan", "applyPlan")
        real = re.sub(r"\{[a-z]+\}", lambda _, p=path, planned=is_planned: known["planned" if planned else p.split("/")[2]], path)
        body, headers = body_of(operation, d)
        if operation["operationId"] == "streamEvents":
            stream = Stream(d, last_id="0")
            assert stream.status == 200 and stream.answer.getheader("Content-Type") == "text/event-stream" and stream.event()
            stream.close()
        else:
            reply = d.call(method.upper(), real, body, headers)
            check_answer(doc, operation, reply, what)
            assert reply.status < 300 or reply.status == MAY_FAIL.get(operation["operationId"]), (what, reply)
        is_open = operation.get("security") == []
        without = d.call(method.upper(), real, body, headers, token=False)
        assert is_open or without.status == 401, (what, without)
        if not is_open:
            check_answer(doc, operation, without, what + " without a token")
            missing = re.sub(r"\{[a-z]+\}", "nobody", path)
            if missing != path:
                reply = d.call(method.upper(), missing, body, headers)
                check_answer(doc, operation, reply, what + " of nobody")
                assert reply.status in (404, 422), (what, reply)
        if "requestBody" in operation:
            for bad in (b"{", b"[1]", b'{"colour":"red"}', b"\xff"):
                reply = d.call(method.upper(), real, bad, dict({"Content-Type": "application/json"}, **headers))
                check_answer(doc, operation, reply, what + " with nonsense")
                assert 400 <= reply.status < 500, (what, bad, reply)
        if any(one.get("$ref", "").endswith("IdempotencyKey") for one in operation.get("parameters", [])):
            reply = d.call(method.upper(), real, body, dict(headers, **{"Idempotency-Key": "x" * 300}))
            assert reply.status == 422, (what, reply)
        driven += 1
    assert driven == sum(len(item) for item in doc["paths"].values()) and driven > 25


def document_and_routes_are_the_same(fleet):
    d = fleet.dispatcher()
    doc = d.get("/openapi.json", token=False).json
    with open(os.path.join(SOURCE, "dispatcher/api/api.c"), encoding="utf-8") as file:
        routes = set(re.findall(r'^    \{"([A-Z]+)", "([^"]+)", \w+,', file.read(), re.M))
    documented = {(method.upper(), path) for path, item in doc["paths"].items() for method in item}
    assert routes == documented, routes ^ documented
    refs = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(doc)))
    assert all(name in doc["components"][kind] for kind, name in refs)
    ids = [operation["operationId"] for item in doc["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


if __name__ == "__main__":
    tests = [every_path_keeps_its_promise, document_and_routes_are_the_same]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
