#!/usr/bin/env python3
"""A second reader of bundles, sharing nothing with the first, with the standard library only (the signature, too):
`verify_bundle.py FILE [BASE64-PUBLIC-KEY]`. Exit 0: proven, and signed by that key. 6: anything else, told in one line."""
import base64
import hashlib
import json
import pathlib
import re
import sys

FORMAT = "orgimport-bundle@1"
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    """Points of Ed25519 in extended coordinates (RFC 8032, section 5.1.4)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    x, g, h, y = f - e, d - c, d + c, f + e
    return x * g % P, h * y % P, g * h % P, x * y % P


def times(n, point):
    rest = times(n >> 1, add(point, point)) if n > 1 else (0, 1, 1, 0)
    return add(rest, point) if n & 1 else rest


def point_of(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * pow(2, (P - 1) // 4, P) % P if (x * x - square) % P else x
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def is_signed(public_key, message, signature):
    a, r, s = point_of(public_key), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % Q
    base = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    left, right = times(s, base), add(r, times(h, a))
    return len(signature) == 64 and s < Q and all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def canonical(value):
    """RFC 8785 for what bundles hold: members by UTF-16 code units, integers, no other numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(k) + ":" + canonical(v) for k, v in sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(value):
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def merkle(leaves):
    level = [digest(leaf) for leaf in leaves] or [digest(["empty"])]
    while len(level) > 1:
        level = [digest(["node", *level[i:i + 2]]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def root_of(heads):
    return merkle([["leaf", name, heads[name]["n"], heads[name]["hash"]] for name in sorted(heads, key=str.encode)])


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def check_ledger(payload):
    heads, document = {}, digest(payload["import"]["document"])
    for line in payload["ledger"]["lines"]:
        name, before = line["step"], heads.get(line["step"], {"n": 0, "hash": "", "fence": ""})
        need(digest({key: value for key, value in line.items() if key != "hash"}) == line["hash"], "a line of %s does not match its hash" % name)
        need(line["n"] == before["n"] + 1 and line["prev"] == before["hash"], "a chain is cut: " + name)
        need(not before["fence"] or line.get("fence", "") >= before["fence"], "a fence goes back: " + name)
        need(not name or line["n"] > 1 or line.get("import") == document, "a chain of another document: " + name)
        heads[name] = {"n": line["n"], "hash": line["hash"], "fence": line.get("fence", "")}
    heads = {name: {"n": head["n"], "hash": head["hash"]} for name, head in heads.items()}
    need(heads == payload["ledger"]["heads"] and root_of(heads) == payload["ledger"]["root"], "the root does not follow")
    by_place = {(line["step"], line["n"]): line["hash"] for line in payload["ledger"]["lines"]}
    for issued in payload["roots_issued"]:
        need(root_of({name: {"n": n, "hash": by_place[name, n]} for name, n in issued["heads"].items()}) == issued["root"], "a root that was handed out does not follow")


def check_rehearsal(payload):
    """What is said of reality beside a rehearsal is counted again; what was foretold is the operator's word."""
    lines = [line for line in payload["ledger"]["lines"] if line["step"] and not line.get("undo")]
    writes = [(line["step"], line["op"], re.sub("/[0-9a-f]{8}$", "", line["key"])) for line in lines if line["kind"] == "answer" and not line["op"].startswith("runtime:") and not line["key"].startswith("undo/")]
    reads = sum(one["count"] for line in lines if line["kind"] == "reads" for one in line["result"] if not one["op"].startswith("runtime:"))
    failures = sum(line["kind"] == "outcome" and line["result"]["outcome"] in "RF" for line in lines)
    at, end = [line["at_ms"] for line in lines], {"state": payload["import"]["state"], "verdict": payload["verdict"]["verdict"]}
    real = {"reads": reads, "writes": sorted(map(" ".join, writes), key=str.encode), "failures": failures, "ms": max(at) - min(at), "end": end}
    need(payload["rehearsal"] is None or set(payload["rehearsal"]) == {"predicted", "real"} and payload["rehearsal"]["real"] == real, "another reality")


def check_steps(payload):
    ids = [step["id"] for step in payload["playbook"]["steps"]]
    need(ids == payload["import"]["document"]["steps"] == [step["name"] for step in payload["steps"]], "other steps")
    need(payload["import"]["document"]["playbook"] == "%s@%d" % (payload["playbook"]["name"], payload["playbook"]["version"]), "another playbook")
    need(payload["import"]["document"]["id"] == payload["import"]["id"], "the document is of another import")
    began, ended = {}, {}
    for place, line in enumerate(payload["ledger"]["lines"]):
        if not line.get("undo"):
            began.setdefault(line["step"], place)
            if line["kind"] == "outcome" and line["result"]["outcome"] == "D":
                ended.setdefault(line["step"], place)
    for step, told in zip(payload["steps"], payload["playbook"]["steps"]):
        need(all(step[key] == told.get(key, "") for key in ("item", "kind", "title", "party")), "not the playbook's: " + step["name"])
        for which, is_undo in (("result", False), ("undo", True)):
            last = [line for line in payload["ledger"]["lines"] if line["step"] == step["name"] and line["kind"] == "outcome" and bool(line.get("undo")) == is_undo][-1:]
            is_done, facts = bool(last) and last[0]["result"]["outcome"] == "D", step[which]
            need(isinstance(facts, dict) if is_done else facts is None, "%s and its ledger disagree" % step["name"])
            if not is_done:
                continue
            whole = dict(facts)
            for member in ("fingerprint", "patches"):
                if which == "result" and isinstance(facts.get(member), dict) and set(facts[member]) == {"$in"}:
                    place = facts[member]["$in"].split(".")
                    whole[member] = payload[place[0]][place[1]] if len(place) > 1 else payload[place[0]]
            need(digest(whole) == last[0]["result"]["result"], "%s: not the facts that the ledger recorded" % step["name"])
            need(facts.get("grade", "") == last[0]["result"].get("grade", ""), "%s: another grade" % step["name"])
        for other in told.get("needs", []):
            need(step["name"] not in began or ended.get(other, -1) < began[step["name"]], "%s before its time" % step["name"])


def apply(sections, patch):
    holder, name = sections[patch["section"]], patch["key"]
    for part in patch["path"].split("/") if patch.get("path") else ():
        holder, name = holder[name], part.replace("~1", "/").replace("~0", "~")
    need((name in holder) == (patch["op"] != "add"), "a patch does not fit")
    if patch["op"] == "remove":
        del holder[name]
    else:
        holder[name] = patch["value"]


def seal(sections):
    digests = {name: digest(value) for name, value in sections.items()}
    return digests, merkle([["leaf", name, digests[name]] for name in sorted(digests, key=str.encode)])


def check_verdict(payload):
    steps = {step["name"]: step["result"] or {} for step in payload["steps"]}
    result, prints = steps["fingerprint_after"], payload["fingerprints"]
    for which in ("before", "after"):
        need((prints[which]["digests"], prints[which]["root"]) == seal(prints[which]["sections"]), "the fingerprint %s is not what it says" % which)
        need(prints[which]["root"] == steps["fingerprint_" + which]["root"] == result["proof"][which], "another fingerprint " + which)
    expected, proof = json.loads(json.dumps(prints["before"]["sections"])), result["proof"]
    for patch in payload["patches"]:
        need(patch.get("step") in steps and steps[patch["step"]] or patch["section"] == "handshakes", "a patch of nobody")
        apply(expected, patch)
    need(seal(expected)[1] == proof["expected"], "before and patches do not give what was expected")
    open_ones = [list(proof.get(name, [])) for name in ("unexplained", "disrupted", "rogue", "accepted")]
    named = {(one["section"], one["key"]) for one in proof.get("foreign", []) if one.get("events")}
    after, now = prints["after"]["sections"], set()
    for section in set(expected) | set(after):
        here, there = expected.get(section, {}), after.get(section, {})
        now |= {(section, key) for key in set(here) | set(there) if here.get(key) != there.get(key) or (key in here) != (key in there)}
    verdict = payload["verdict"]["verdict"]
    need(verdict == result["verdict"], "another verdict than the step's")
    need(verdict in ("PROVEN", "PROVEN+FOREIGN") and not any(open_ones), verdict)
    need(now <= named and (verdict == "PROVEN+FOREIGN") == bool(named), "the verdict does not follow: " + str(sorted(now - named)[:3]))


def check(raw, pinned):
    bundle = json.loads(raw.decode())
    need((canonical(bundle) + "\n").encode() == raw, "not in canonical form")
    need(set(bundle) == {"format", "payload", "signature"} and bundle["format"] == FORMAT, "not a bundle of this format")
    payload, signature = bundle["payload"], bundle["signature"]
    key, value = base64.b64decode(signature["public_key"]), base64.b64decode(signature["value"])
    need(set(signature) == {"alg", "key_id", "public_key", "value"} and signature["alg"] == "Ed25519", "another kind of signature")
    need(signature["key_id"] == hashlib.sha256(key).hexdigest()[:16], "another key than it says")
    need(is_signed(key, (FORMAT + "\n" + canonical(payload)).encode(), value), "the signature does not fit")
    need(not pinned or key == base64.b64decode(pinned), "signed by another key")
    check_ledger(payload)
    check_steps(payload)
    need(payload["import"]["state"] == "completed", "the import is " + payload["import"]["state"])
    check_verdict(payload)
    check_rehearsal(payload)
    need(pinned, "consistent, signer unpinned")
    return payload["verdict"]["verdict"]


if __name__ == "__main__":
    try:
        print(check(pathlib.Path(sys.argv[1]).read_bytes(), sys.argv[2] if len(sys.argv) > 2 else ""))
    except (AssertionError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as fault:
        print("NOT PROVEN: %s %s" % (type(fault).__name__, fault))
        sys.exit(6)
