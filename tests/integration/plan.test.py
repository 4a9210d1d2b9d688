"""Plans against a simulated AWS with real workers: no write leaves before the approval, the calls made are the calls planned,
what moved is refused by name, and a finished customer has nothing to change. Arg 1: folder of the programs.

ORGIMPORT_FULL=1: six fleets of 34 organizations, the last two under heavy faults, instead of one of 20. PLAN_ORGS, PLAN_SEED,
PLAN_FAULTS (none, light, heavy) choose others."""
import collections
import csv
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run  # noqa: E402
from sim_fleet import SimFleet  # noqa: E402

FULL = os.environ.get("ORGIMPORT_FULL") == "1"
ORGS = int(os.environ.get("PLAN_ORGS", "34" if FULL else "20"))
SEED = int(os.environ.get("PLAN_SEED", "11"))
FAULTS = os.environ.get("PLAN_FAULTS", "none")
REST = ("completed", "failed", "held", "cancelled")


def blocked_at(one):
    return (one["blocking"] or {}).get("step", "")


def has_plan(one):
    return blocked_at(one) == "plan_approval" and one["state"] == "waiting"


def plan_of(world, import_id):
    reply = world.dispatcher.get("/v1/imports/%s/plan" % import_id)
    return reply.json if reply.status == 200 else None


def planned_calls(plan):
    """{(step, op, digest of its arguments): how often}"""
    calls = collections.Counter()
    for step in plan["plan"]["pinned"]["steps"]:
        for call in step["calls"]:
            calls[step["step"], call["op"], call["digest"]] += 1
    return calls


def made_calls(world, import_id):
    """Intents by the arguments' digest: written before a call may leave, so none is missing. A refused or repeated one is the same call."""
    calls = set()
    for line in world.ledger(import_id):
        if line["kind"] == "intent" and not line["op"].startswith("runtime:"):
            calls.add((line["step"], line["op"], line["args"]))
    return collections.Counter(calls)


def approve_and_apply(world, import_id):
    plan = plan_of(world, import_id)
    reply = world.dispatcher.post("/v1/imports/%s:approve" % import_id, {"by": "ann", "reason": "CHG-1", "plan": plan["hash"]})
    assert reply.status == 200 and reply.json["hash"] == plan["hash"], reply
    reply = world.dispatcher.post("/v1/imports/%s:apply" % import_id, {"by": "bob"})
    assert reply.status == 200, reply
    return plan


def check_hash(plan):
    """The hash is of the canonical JSON; nothing in a plan needs more of RFC 8785 than sorted keys and no spaces."""
    text = json.dumps(plan["plan"]["pinned"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == plan["hash"], plan["hash"]


def submit(world, orgs=1):
    done = world.cli("plan", world.customers, "--credentials", world.keys, "--short", timeout=90 + orgs * 8)
    assert done.returncode in (0, 3, 4, 5), done.stdout[-2000:] + done.stderr[-2000:]


def second_file(world, path, **changes):
    """The same customers again, by a role: their keys are dead."""
    with open(world.customers, newline="", encoding="utf-8") as file:
        rows = [dict(row, **{"access.method": "role"}, **changes) for row in csv.DictReader(file)]
    for row in rows:
        row["external_ref"] += "-again"
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, rows[0])
        out.writeheader()
        out.writerows(rows)
    return path


# ---- The calls made are the calls planned


def difference(planned, made):
    return ["planned, not made: %s %s" % key[:2] for key in planned - made] + ["made, not planned: %s %s" % key[:2] for key in made - planned]


def calls_made_are_the_calls_planned(fleet, seed=SEED, faults=FAULTS):
    world = SimFleet(fleet, ORGS, kinds="all", seed=seed, people_delay_ms=50, flags=["--faults=" + faults])
    world.worker()
    try:
        submit(world, ORGS)
        # Planned, stopped before anything, or waiting for access that nobody gives.
        def settled(imports):
            return all(has_plan(one) or one["state"] in REST or blocked_at(one) in ("access_handover", "admin_access") for one in imports)
        world.wait("plans", settled, 120 + ORGS * 2)
        quiet = [world.effects() == [] for _ in range(2)]
        assert all(quiet), "a write left before any approval: %s" % world.effects()[:3]
        plans, refs = {}, {}
        for one in world.imports():
            refs[one["id"]] = one["external_ref"]
            if has_plan(one):
                plans[one["id"]] = approve_and_apply(world, one["id"])
                check_hash(plans[one["id"]])
        assert len(plans) >= ORGS / 2, len(plans)
        world.wait("ends", lambda imports: all(one["state"] in REST for one in imports if one["id"] in plans and
                                               blocked_at(one) not in ("root_email", "partner_program")), 120 + ORGS * 4)
        kinds = {w["external_ref"]: w["kind"] for w in world.worlds()}
        ends, wrong, effects = collections.Counter(), [], collections.Counter()
        for effect in world.effects():
            effects[effect["account"], effect["op"]] += 1
        for one in world.imports():
            if one["id"] not in plans:
                continue
            planned, made = planned_calls(plans[one["id"]]), made_calls(world, one["id"])
            ends[one["state"]] += 1
            # One that people stop half-way makes a part of it and nothing else.
            bad = difference(planned, made) if one["state"] == "completed" else difference(collections.Counter(), made - planned)
            if bad:
                wrong.append("%s (%s) %s: %s" % (one["external_ref"], kinds.get(one["external_ref"]), one["state"], "; ".join(bad[:6])))
            account = one["organization"]["management_account_id"]
            ops = collections.Counter()
            for (_, op, _), n in planned.items():
                ops[op] += n
            for (who, op), n in effects.items():
                if who == account and n > ops[op]:
                    wrong.append("%s: %d effects of %s, %d planned" % (one["external_ref"], n, op, ops[op]))
        print("seed %d, faults %s: %d organizations of %d kinds: %d plans, %s; %d calls" % (seed, faults, ORGS, len(set(kinds.values())), len(plans), dict(ends), sum(effects.values())))
        assert not wrong, "\n".join(wrong)
        assert ends["completed"] >= len(plans) * 0.4, ends  # enough of them to have predicted something
    finally:
        world.stop()


# ---- Nothing to change


def a_finished_customer_has_no_changes(fleet):
    world = SimFleet(fleet, 2, people_delay_ms=50)
    world.worker()
    try:
        done = world.cli("import", world.customers, "--credentials", world.keys)
        assert done.returncode == 0, done.stderr
        world.wait("first imports", lambda imports: all(one["state"] == "completed" for one in imports))
        before = world.effects()
        again = second_file(world, os.path.join(fleet.dir, "again.csv"))
        done = world.cli("plan", again)
        assert done.returncode in (0, 5), done.stdout + done.stderr
        mine = lambda imports: [one for one in imports if one["external_ref"].endswith("-again")]  # noqa: E731
        world.wait("second plans", lambda imports: len(mine(imports)) == 2 and all(map(has_plan, mine(imports))))
        for one in mine(world.imports()):
            shown = world.cli("plan", one["external_ref"])
            assert shown.returncode == 0 and "\nNo changes." in shown.stdout, shown.stdout[-1500:] + shown.stderr
            assert "\033" not in shown.stdout  # colours are for terminals
            plan = approve_and_apply(world, one["id"])
            assert plan["plan"]["no_changes"] is True and not planned_calls(plan)
        world.wait("second ends", lambda imports: all(one["state"] == "completed" for one in mine(imports)))
        assert world.effects() == before, "a second run changed something: %s" % world.effects()[len(before):]
        for one in mine(world.imports()):
            assert not made_calls(world, one["id"])
    finally:
        world.stop()


# ---- What moved is refused by name


def what_moved_is_refused_by_name(fleet):
    world = SimFleet(fleet, 1, people_delay_ms=50)
    world.worker()
    try:
        submit(world)
        world.wait("plan", lambda imports: all(map(has_plan, imports)))
        one = world.imports()[0]
        ref, account = one["external_ref"], one["organization"]["management_account_id"]
        first = plan_of(world, one["id"])
        text = world.dispatcher.get("/v1/imports/%s/plan" % one["id"], headers={"Accept": "text/plain"})
        assert text.status == 200 and text.body.startswith("Plan for ") and "+ role doitintl_cmp" in text.body, text
        unapproved = world.cli("apply", ref)
        assert unapproved.returncode == 1 and "plan.unapproved" in unapproved.stderr, unapproved.stderr
        other = world.cli("approve", ref, "--by", "ann", "--reason", "CHG-1", "--plan", "0" * 64)
        assert other.returncode == 1 and "plan.other" in other.stderr, other.stderr
        short = world.cli("approve", ref, "--by", "ann", "--reason", "CHG-1", "--plan", first["hash"][:12])
        assert short.returncode == 0, short.stderr

        act(world, account, "foreign.trusted_service")
        refused = world.cli("apply", ref)
        assert refused.returncode == 3 and "trusted services" in refused.stdout, refused.stdout + refused.stderr
        second = plan_of(world, one["id"])
        assert second["hash"] != first["hash"] and second["approvals"] == [] and second["state"] == "waiting"
        assert [moved["item"] for moved in second["moved"]] == ["trusted services"], second["moved"]
        assert not world.effects()

        # The new plan needs its own approval; what nobody built on may change meanwhile.
        assert world.cli("apply", ref).returncode == 1
        act(world, account, "foreign.create_user")
        assert world.cli("approve", ref, "--by", "ann", "--reason", "CHG-2").returncode == 0
        applied = world.cli("apply", ref, "--by", "bob")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        decided = [line for line in world.ledger(one["id"]) if line["step"] == "plan_approval" and line["kind"] == "signal"]
        assert [line["key"] for line in decided] == ["done", "accept", "done", "accept"], decided
        world.wait("end", lambda imports: imports[0]["state"] in REST)
        assert not difference(planned_calls(second), made_calls(world, one["id"]))
    finally:
        world.stop()


def act(world, account, what, args=None):
    import urllib.request
    body = json.dumps({"what": what, "args": args or {}}).encode()
    with urllib.request.urlopen(urllib.request.Request(world.endpoint + "/_sim/world/%s/act" % account, body), timeout=30) as answer:
        assert answer.status == 200


# ---- What would stop it later stops it where nothing is half done


def a_stop_is_told_before_anything_and_planned_again(fleet):
    world = SimFleet(fleet, 1, kinds="root_access_keys", people_delay_ms=50)
    world.worker()
    try:
        submit(world)
        world.wait("stop", lambda imports: all(one["state"] == "failed" for one in imports))
        one = world.imports()[0]
        assert one["error"]["code"] == "plan.stops" and one["error"]["findings"][0]["code"] == "root.access_keys", one["error"]
        shown = world.cli("plan", one["external_ref"])
        assert shown.returncode == 3 and "would stop" in shown.stdout and "root.access_keys" in shown.stdout, shown.stdout[-3000:]
        assert world.cli("approve", one["external_ref"], "--by", "ann", "--reason", "CHG-1").returncode == 1  # nobody waits for it
        assert not world.effects()
        act(world, one["organization"]["management_account_id"], "customer.delete_root_keys")
        assert world.cli("retry", one["external_ref"]).returncode == 0
        world.wait("plan", lambda imports: all(map(has_plan, imports)))
        shown = world.cli("plan", one["external_ref"])
        assert shown.returncode == 4 and "would stop" not in shown.stdout, shown.stdout[-3000:]
        assert not world.effects()
    finally:
        world.stop()


# ---- After apply, the plan binds


def again(world, mark):
    """Finished customers once more, by a role, under another name each time: nothing is left to change but what somebody changes."""
    path = second_file(world, os.path.join(world.fleet.dir, "again%s.csv" % mark))
    with open(path, encoding="utf-8") as file:
        text = file.read().replace("-again", "-again" + mark)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    done = world.cli("plan", path)
    assert done.returncode in (0, 4, 5), done.stdout + done.stderr
    mine = lambda: [one for one in world.imports() if one["external_ref"].endswith("-again" + mark)]  # noqa: E731
    world.wait("plans" + mark, lambda _: mine() and all(map(has_plan, mine())))
    return mine


def what_no_plan_names_is_not_signed(fleet):
    world = SimFleet(fleet, 2, people_delay_ms=50)
    world.worker()
    try:
        assert world.cli("import", world.customers, "--credentials", world.keys).returncode == 0
        world.wait("first imports", lambda imports: all(one["state"] == "completed" for one in imports))
        mine = again(world, "")
        before = world.effects()
        # Nothing that could write begins: the approvals are applied, then the world changes.
        halt = world.cli("fleet", "halt", "--reason", "the world changes now", "--by", "test")
        assert halt.returncode == 0, halt.stderr
        plans = {one["id"]: approve_and_apply(world, one["id"]) for one in mine()}
        steps = lambda one: {step["name"]: step["state"] for step in world.dispatcher.get("/v1/imports/" + one["id"]).json["steps"]}  # noqa: E731
        world.wait("applied", lambda _: all(steps(one)["plan_approval"] == "DONE" for one in mine()))
        for one in mine():
            act(world, one["organization"]["management_account_id"], "foreign.detach_policy")
        assert world.cli("fleet", "release", "--reason", "it has changed", "--by", "test").returncode == 0
        world.wait("questions", lambda _: all(one["state"] == "held" for one in mine()))
        assert world.effects() == before, world.effects()[len(before):]
        for one in mine():
            error = world.dispatcher.get("/v1/imports/" + one["id"]).json["error"]
            assert error["code"] == "plan.not_in_plan" and error["step"] == "role_cmp" and error["owner"] == "operator", error
            assert error["details"]["op"] == "iam:AttachRolePolicy" and error["details"]["args"]["RoleName"] == "doitintl_cmp", error
            assert error["details"]["plan"] == plans[one["id"]]["hash"], error
            assert "iam:AttachRolePolicy" in error["text"] and "plan and approve again" in error["fix"], error
            shown = world.cli("show", one["external_ref"])
            assert "iam:AttachRolePolicy" in shown.stdout and plans[one["id"]]["hash"][:12] in shown.stdout, shown.stdout[-2000:]
        accepted, planned_again = mine()

        # One is accepted with a reason, and does that and nothing else.
        said = world.cli("accept", accepted["external_ref"], "--by", "ann", "--reason", "CHG-9: the policy belongs there")
        assert said.returncode == 0, said.stdout + said.stderr
        world.wait("accepted end", lambda _: mine()[0]["state"] == "completed")
        more = difference(planned_calls(plans[accepted["id"]]), made_calls(world, accepted["id"]))
        assert more == ["made, not planned: role_cmp iam:AttachRolePolicy"], more
        decided = [line["result"]["reason"] for line in world.ledger(accepted["id"]) if line["step"] == "role_cmp" and line["kind"] == "signal"]
        assert decided == ["CHG-9: the policy belongs there"], decided

        # The other is planned anew: the new plan names the call, and its approval lets it go.
        assert world.cli("cancel", planned_again["external_ref"], "--keep", "--by", "ann", "--reason", "planned anew").returncode == 0
        world.wait("cancelled", lambda _: mine()[1]["state"] == "cancelled")
        third = again(world, "-2")
        ops = {}
        for one in third():
            plan = approve_and_apply(world, one["id"])
            ops[one["organization"]["management_account_id"]] = sorted(op for _, op, _ in planned_calls(plan))
        world.wait("third ends", lambda _: all(one["state"] == "completed" for one in third()))
        assert ops[planned_again["organization"]["management_account_id"]] == ["iam:AttachRolePolicy"], ops
        assert ops[accepted["organization"]["management_account_id"]] == [], ops
        done = [(one["account"], one["op"]) for one in world.effects()[len(before):]]
        both = sorted((one["organization"]["management_account_id"], "iam:AttachRolePolicy") for one in (accepted, planned_again))
        assert sorted(done) == both, done
    finally:
        world.stop()


# ---- Who may approve, and what comes without a plan


def two_people_where_the_profile_asks(fleet):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/profiles/doit")
    profile = json.load(open(os.path.join(source, "profile.json"), encoding="utf-8"))
    profile["approvals"] = {"plan": {"quorum": 2}}
    os.mkdir(os.path.join(fleet.dir, "profile"))
    os.symlink(os.path.abspath(os.path.join(source, "policies")), os.path.join(fleet.dir, "profile", "policies"))
    path = os.path.join(fleet.dir, "profile", "profile.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(profile, file)
    world = SimFleet(fleet, 1, people_delay_ms=50, profile=path)
    world.worker()
    try:
        submit(world)
        world.wait("plan", lambda imports: all(map(has_plan, imports)))
        ref = world.imports()[0]["external_ref"]
        assert world.cli("approve", ref, "--by", "ann", "--reason", "CHG-1").returncode == 0
        assert world.cli("apply", ref).returncode == 1  # one is not two
        assert world.cli("approve", ref, "--by", "Ann", "--reason", "again").returncode == 0
        alone = world.cli("apply", ref)
        assert alone.returncode == 1 and "plan.unapproved" in alone.stderr, alone.stdout + alone.stderr
        assert world.cli("approve", ref, "--by", "bob", "--reason", "CHG-1").returncode == 0
        both = world.cli("apply", ref)
        assert both.returncode == 0, both.stdout + both.stderr
        shown = json.loads(world.cli("plan", ref, "--json").stdout)
        assert [one["by"] for one in shown["approvals"]] == ["ann", "bob"], shown["approvals"]
    finally:
        world.stop()


def an_import_without_a_plan_says_so(fleet):
    world = SimFleet(fleet, 1)
    world.worker()
    try:
        assert world.cli("import", world.customers, "--credentials", world.keys).returncode == 0
        ref = world.imports()[0]["external_ref"]
        shown = world.cli("plan", ref)
        assert shown.returncode == 1 and "without a plan" in shown.stderr and "orgimport plan FILE" in shown.stderr, shown.stderr
        states = {step["name"]: step["state"] for step in world.dispatcher.get("/v1/imports/" + world.imports()[0]["id"]).json["steps"]}
        assert states["change_plan"] == states["plan_approval"] == "SKIPPED", states
        text = world.dispatcher.get("/v1/imports/%s/plan" % world.imports()[0]["id"])
        assert text.status == 409 and text.json["code"] == "plan.none", text
    finally:
        world.stop()


if __name__ == "__main__":
    tests = [a_finished_customer_has_no_changes, what_moved_is_refused_by_name, what_no_plan_names_is_not_signed, two_people_where_the_profile_asks,
             a_stop_is_told_before_anything_and_planned_again, an_import_without_a_plan_says_so, calls_made_are_the_calls_planned]
    for number in range(1, 6 if FULL else 1):
        def more(fleet, number=number):
            calls_made_are_the_calls_planned(fleet, SEED + number, "heavy" if number > 3 else FAULTS)
        more.__name__ = calls_made_are_the_calls_planned.__name__
        tests.append(more)
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
