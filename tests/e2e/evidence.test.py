"""Evidence: bundles of a demo, checked in an empty folder without environment and network by both readers; spoiled ones are
found by both; nothing secret is in them. Arg 1: folder of the programs. ORGIMPORT_FULL=1: 100 imports."""
import base64
import configparser
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tools"))
import verify_bundle as second  # noqa: E402

BIN = os.path.abspath(sys.argv[1])
FIRST = os.path.join(BIN, "orgimport")
SECOND = os.path.join(HERE, "../tools/verify_bundle.py")
IMPORTS = 100 if os.environ.get("ORGIMPORT_FULL") == "1" else 10
SPOILED = 10 if os.environ.get("ORGIMPORT_FULL") == "1" else 9
NO_NETWORK = ["unshare", "-n"] if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0 else []


def run(*words, **more):
    return subprocess.run([FIRST, *words], capture_output=True, text=True, check=False, **more)


def must(*words):
    done = run(*words)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def ours(path, key, folder):
    """In a clean root: nothing but the file, no environment, no network."""
    words = [FIRST, "verify", path] + (["--key", key] if key else [])
    done = subprocess.run([*NO_NETWORK, "env", "-i", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 6), (done.returncode, done.stdout, done.stderr)
    assert done.stdout.count("\n") >= 1 and not done.stderr, done
    return done.returncode == 0, done.stdout.split("\n")[0]


def theirs(path, key):
    done = subprocess.run([*NO_NETWORK, "env", "-i", sys.executable, SECOND, path] + ([key] if key else []), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 6), done
    return done.returncode == 0, done.stdout.strip()


def public_of(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return a, h[32:], pack(second.times(a, BASE))


def pack(point):
    z = pow(point[2], second.P - 2, second.P)
    x, y = point[0] * z % second.P, point[1] * z % second.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = second.point_of((4 * pow(5, second.P - 2, second.P) % second.P).to_bytes(32, "little"))


def sign(bundle, seed):
    a, prefix, public_key = public_of(seed)
    message = (second.FORMAT + "\n" + second.canonical(bundle["payload"])).encode()
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % second.Q
    big_r = pack(second.times(r, BASE))
    h = int.from_bytes(hashlib.sha512(big_r + public_key + message).digest(), "little") % second.Q
    value = big_r + ((r + h * a) % second.Q).to_bytes(32, "little")
    bundle["signature"] = {"alg": "Ed25519", "key_id": hashlib.sha256(public_key).hexdigest()[:16],
                           "public_key": base64.b64encode(public_key).decode(), "value": base64.b64encode(value).decode()}
    return bundle


def places(value, path=()):
    """Every place of a JSON value, deepest last."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield path + (key,)
        yield from places(inner, path + (key,))


def spoil(bundle, path, dice):
    at = bundle
    for part in path[:-1]:
        at = at[part]
    value, how = at[path[-1]], dice.random()
    if isinstance(value, (dict, list)) or how < 0.3:
        if isinstance(value, list) and len(value) > 1 and how < 0.5:
            value.append(value[0]) if how < 0.25 else value.reverse()
            return
        del at[path[-1]]
    elif isinstance(value, bool) or value is None:
        at[path[-1]] = 1
    elif isinstance(value, int):
        at[path[-1]] = value + 1
    else:
        at[path[-1]] = value[:-1] if value else "x"


def write(folder, name, bundle):
    path = os.path.join(folder, name)
    with open(path, "wb") as out:
        out.write(bundle if isinstance(bundle, bytes) else (second.canonical(bundle) + "\n").encode())
    return path


def secrets_of(state):
    found = []
    ini = configparser.RawConfigParser()
    for name in ("credentials.ini", "operator.ini"):
        ini.read(os.path.join(state, name))
    for section in ini.sections():
        found += [value for key, value in ini.items(section) if "secret" in key or "token" in key]
    for name in ("token", "signing.key"):
        found.append(open(os.path.join(state, name), encoding="utf-8").read().strip())
    keys = os.path.join(state, "keys")
    found += [open(os.path.join(keys, name), encoding="utf-8").read().strip() for name in os.listdir(keys) if name.endswith(".key")]
    assert len(found) > 4 and all(len(one) > 15 for one in found)
    return found


def check_bundle(ref, path, key, folder, secrets):
    must("evidence", ref, "--out", path)
    raw = open(path, "rb").read()
    for secret in secrets:
        assert secret.encode() not in raw, "a secret is in the bundle of " + ref
    assert ours(path, key, folder)[0] and theirs(path, key)[0], (ref, ours(path, key, folder), theirs(path, key))
    good, line = ours(path, "", folder)
    assert not good and "consistent, signer unpinned" in line, line
    assert not theirs(path, "")[0]
    must("evidence", ref, "--out", path + ".again")
    assert open(path + ".again", "rb").read() == raw, "two bundles of one import differ"
    return raw


def spoiled_ones_are_found(raw, key, seed, folder, dice, count):
    """Changed and left so; changed and signed by another key; changed and signed by the right key."""
    bundle = json.loads(raw)
    every = list(places(bundle["payload"]))
    for number in range(count):
        path = dice.choice(every)
        bad = json.loads(raw)
        spoil(bad["payload"], path, dice)
        kind = number % 3
        if kind == 1:
            bad = sign(bad, bytes(32))
        elif kind == 2:
            bad = sign(bad, seed)
        file = write(folder, "spoiled.json", bad)
        one, other = ours(file, key, folder), theirs(file, key)
        yield kind, path, one, other
    cut = bytearray(raw)
    cut[dice.randrange(len(cut))] ^= 1 << dice.randrange(7)
    file = write(folder, "flipped.json", bytes(cut))
    yield 0, ("a bit",), ours(file, key, folder), theirs(file, key)


def roots_that_were_handed_out(ref, key, folder):
    issued = json.loads(must("ledger", ref, "--issue", "soc@customer.example", "--by", "ann", "--json"))
    shown = json.loads(must("ledger", ref, "--json"))
    assert not shown["problems"] and issued["root"] != shown["root"]
    path = os.path.join(folder, "issued.json")
    must("evidence", ref, "--out", path)
    bundle = json.loads(open(path, "rb").read())["payload"]
    assert [one["root"] for one in bundle["roots_issued"]] == [issued["root"]] and bundle["ledger"]["root"] == shown["root"]
    assert ours(path, key, folder)[0] and theirs(path, key)[0]
    story = must("ledger", ref)
    assert "handed the root" in story and story.rstrip().endswith(shown["root"]) and "wrote iam:CreateRole" in story, story[-500:]


def the_customers_own_cloudtrail_agrees(refs, state, folder, key):
    """Both ways, offline: each write of the ledger has its event there, each event of our session its line here."""
    address = open(os.path.join(state, "awssim.address"), encoding="utf-8").read().strip()
    accounts = {world["external_ref"]: world["account"] for world in json.load(open(os.path.join(state, "worlds.json"), encoding="utf-8"))}
    for ref in refs:
        with urllib.request.urlopen("%s/_sim/world/%s" % (address, accounts[ref])) as reply:
            rows = json.load(reply)["state"]["trail_events"]
        bundle = os.path.join(folder, "trail.bundle")
        must("evidence", ref, "--out", bundle)

        def against(events, bundle=bundle):
            path = write(folder, "trail.json", json.dumps({"Records": events}).encode())
            done = subprocess.run([*NO_NETWORK, "env", "-i", FIRST, "verify", bundle, "--key", key, "--cloudtrail", path], cwd=folder, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout
        events = [row["CloudTrailEvent"] for row in rows]
        code, said = against(events)
        assert code == 0 and " 0 do not; 0 events" in said, (ref, said)
        import_id = json.loads(open(bundle, "rb").read())["payload"]["import"]["id"]
        ours_there = [event for event in events if import_id in json.dumps(event)]
        assert len(ours_there) >= 8, (ref, len(ours_there))
        code, said = against([event for event in events if event is not ours_there[0]])
        assert code == 6 and "no event: " in said, said
        rogue = dict(ours_there[0], eventID="made-up", requestID="made-up", eventName="DeleteUser")
        code, said = against(events + [rogue])
        assert code == 6 and "not in the ledger: DeleteUser" in said, said


def report_is_made_offline(ref, folder, secrets):
    """The page out of the fleet and the page out of the file are one; nothing in it is loaded, nothing secret is in it."""
    one, other, bundle = (os.path.join(folder, name) for name in ("one.html", "other.html", "report.json"))
    must("evidence", ref, "--out", bundle, "--html", one)
    done = subprocess.run([*NO_NETWORK, "env", "-i", FIRST, "report", bundle, "--html", other], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    page = open(one, encoding="utf-8").read()
    assert page == open(other, encoding="utf-8").read()
    assert "Nothing was disrupted" in page and "What each role can do" in page and "exactly what was sent" in page
    assert "No rehearsal was made of this import." in page
    for never in ["<script", "src=", "url(", "@import", *secrets]:
        assert never not in page, never


def misuse_is_named(ref, folder):
    assert run("evidence", ref).returncode == 2
    assert run("verify", os.path.join(folder, "nothing.json")).returncode == 1
    assert run("verify", os.path.join(folder, "issued.json"), "--key", "rubbish").returncode == 2


def main():
    folder = tempfile.mkdtemp(prefix="oi-evidence.", dir="/tmp")
    os.environ["ORGIMPORT_STATE_DIR"] = os.path.join(folder, "s")
    empty = os.path.join(folder, "empty")
    os.mkdir(empty)
    try:
        demo = run("demo", "--orgs", str(IMPORTS), "--seed", "11", "--kinds", "healthy", "--keep", "--no-second-run", "--timeout-s", "400")
        assert demo.returncode == 0, (demo.stdout[-2000:], demo.stderr)
        state = os.path.join(folder, "s/demo")
        seed = base64.b64decode(open(os.path.join(state, "signing.key"), encoding="utf-8").read())
        assert os.stat(os.path.join(state, "signing.key")).st_mode & 0o777 == 0o600
        key = json.loads(must("keys", "--output", "json"))["signing"]["public_key"]
        assert base64.b64decode(key) == public_of(seed)[2]
        refs = [json.loads(line)["external_ref"] for line in must("list", "--state", "completed", "--output", "jsonl").split("\n") if line]
        assert len(refs) >= IMPORTS * 8 // 10, refs
        secrets, dice, total, one_way = secrets_of(state), random.Random(5), 0, []
        for ref in refs:
            raw = check_bundle(ref, os.path.join(folder, ref + ".json"), key, empty, secrets)
            total += 1
            for kind, path, one, other in spoiled_ones_are_found(raw, key, seed, folder, dice, SPOILED):
                total += 1
                if kind < 2:
                    assert not one[0] and not other[0], (kind, path, one, other)
                elif one[0] != other[0]:
                    one_way.append((path, one, other))
        # The first reader looks at more (what follows from the rest for readers); it never passes what the second one refuses.
        assert not [case for case in one_way if case[1][0]], one_way[:3]
        roots_that_were_handed_out(refs[0], key, empty)
        the_customers_own_cloudtrail_agrees(refs[:6], state, empty, key)
        report_is_made_offline(refs[1], empty, secrets)
        misuse_is_named(refs[0], empty)
        print("%d bundles, both readers agree on %d; %d signed by the right key were only refused by the stricter one" % (total, total - len(one_way), len(one_way)))
        assert total >= 100
    finally:
        run("local", "stop")
        shutil.rmtree(folder, ignore_errors=True)


main()
