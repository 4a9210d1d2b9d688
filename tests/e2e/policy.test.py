"""Customers who give exactly what `orgimport policy` prints, and not one right more. Arg 1: folder of the programs.

1. With exactly that, imports of both routes complete and are proven, and no call of theirs is refused.
2. With any one action taken out, the import stops and names that action: before anything is changed, except for the
   reads that may be left out, which are warned about by name. Every action has a world of its own.
3. Where no simulation can see it coming (a deny under a condition), the step that needs the action names it, and the
   policy that denies it. A sample of writes.
4. What awssim refuses is worded as AWS words it.
5. The way back needs no more than the way there: a finished import is undone under exactly the printed policy, and with any
   one action of the undo taken away by then it stops, names it, and goes on once it is given back."""
import csv
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import World  # noqa: E402

EXACT = 4
SAMPLE = ["iam:CreateRole", "iam:TagRole", "iam:CreatePolicy", "iam:AttachRolePolicy", "s3:CreateBucket", "s3:PutBucketPolicy",
          "cur:PutReportDefinition", "cur:TagResource", "tax:PutTaxRegistration", "organizations:ListRoots"]
NEEDED_BEFORE = {"organizations:DescribeOrganization", "iam:SimulatePrincipalPolicy"}  # their own step fails, naming them
UNDO_WORLDS, HIDDEN_UNDO = 24, ["iam:DeleteRole", "cur:DeleteReportDefinition"]
REMOVALS = ("Delete", "Detach", "Remove")
WRITES = ("iam:", "s3:", "cur:", "tax:")
ADMIN_ARN = "arn:aws:iam::aws:policy/AdministratorAccess"


def listed(word):
    return word if isinstance(word, list) else [word]


def without(documents, action):
    """The printed documents with one action taken out; a statement that is left empty goes."""
    kept = []
    for one in json.loads(json.dumps(documents)):
        statements = one["document"]["Statement"]
        for statement in statements:
            statement["Action"] = [a for a in listed(statement["Action"]) if a != action]
        one["document"]["Statement"] = [s for s in statements if s["Action"]]
        kept.append({"name": one["name"], "document": one["document"]})
    return [one for one in kept if one["document"]["Statement"]]


def hidden_deny(action):
    """What a simulation does not see: it knows of no connection."""
    return {"name": "Hidden", "document": {"Version": "2012-10-17", "Statement": [
        {"Sid": "OnlyByPigeon", "Effect": "Deny", "Action": action, "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}}


class Customers:
    def __init__(self, world):
        self.world = world
        with open(world.customers, encoding="utf-8") as file:
            self.rows = {row["external_ref"]: row for row in csv.DictReader(file)}

    def sim(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.world.endpoint + "/_sim/" + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def cli(self, *words):
        fleet = self.world.fleet
        url = "--url=http://" + self.world.dispatcher.address.replace("http://", "")
        done = subprocess.run([os.path.join(fleet.bin, "orgimport"), url, "--token-file=" + fleet.token_file, *words], capture_output=True,
                              text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def previews(self):
        """What the verb prints for each customer of the file, before anything exists."""
        answers, text, at = {}, self.cli("policy", "--customer", self.world.customers, "--json"), 0
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            one, end = json.JSONDecoder().raw_decode(text[at:])
            answers[one["external_ref"]] = one
            at += end
        assert set(answers) == set(self.rows)
        return answers

    def act(self, ref, what, **args):
        return self.sim("world/%s/act" % self.rows[ref]["organization.management_account_id"], {"what": what, "args": args})

    def give(self, ref, documents, is_again=False):
        """The customer attaches these and nothing else."""
        if self.rows[ref]["access.method"] == "role":  # made ahead; who may take it is mended when the task tells the external id
            if not is_again:
                self.act(ref, "customer.bootstrap_role", external_id="not-known-yet")
            self.act(ref, "customer.permissions", role="OrgImportBootstrap", documents=documents)
        else:
            self.act(ref, "customer.permissions", documents=documents)

    def imports(self):
        found, after = [], ""
        while True:
            page = self.world.dispatcher.get("/v1/imports?limit=200" + after).json
            found += page["data"]
            if not page["has_more"]:
                return {one["external_ref"]: one for one in found}
            after = "&starting_after=" + page["next"]

    def shown(self, one):
        return self.world.dispatcher.get("/v1/imports/" + one["id"]).json

    def failure(self, one):
        """(step, texts) of what stopped it."""
        for step in self.shown(one)["steps"]:
            if step.get("error"):
                error = step["error"]
                return step["name"], error, [error["text"]] + ["%s %s" % (f["code"], f["text"]) for f in error.get("findings", [])]
        return None, {}, []


def names(texts, action):
    """Named as a word of its own: iam:GetRole is not named by iam:GetRolePolicy."""
    return any(action == word.strip(",.:;()") for text in texts for word in text.split())


def check_exact(customers, refs, previews, imports):
    for ref in refs:
        one = imports[ref]
        assert one["state"] == "completed" and one["verdict"] == "PROVEN", (ref, one["state"], customers.failure(one))
        now = customers.world.dispatcher.get("/v1/imports/%s/policy" % one["id"]).json
        assert now["documents"] == previews[ref]["documents"], ref  # what was promised before is what was needed
        state = customers.sim("world/" + customers.rows[ref]["organization.management_account_id"])["state"]
        refused = [e for e in state["trail_events"] if "AccessDenied" in str(e["CloudTrailEvent"].get("errorCode", ""))]
        assert not refused, refused[:2]


def check_removed(customers, given, imports):
    steps = {}
    for ref, action in given.items():
        one = imports[ref]
        if action is None:
            continue
        if action["optional"]:
            warned = [w["text"] for w in customers.shown(one)["warnings"]]
            assert one["state"] == "completed" and names(warned, action["action"]), (action, one["state"], warned)
            continue
        step, error, texts = customers.failure(one)
        assert one["state"] == "failed" and names(texts, action["action"]), (action, one["state"], step, texts)
        assert error["owner"] == "customer" and error["fix"], error
        wanted = {"org_identify"} if action["action"] == "organizations:DescribeOrganization" else {"admin_access"}
        assert step in wanted, (action, step)
        if action["action"] not in NEEDED_BEFORE:
            assert len(error["findings"]) == 1 and error["findings"][0]["code"] == "access.action_missing", error
        steps[step] = steps.get(step, 0) + 1
        effects = [e for e in customers.world.effects() if e["account"] == one["organization"]["management_account_id"] and
                   not e["op"].startswith("customer.")]
        assert not effects, effects[:3]  # nothing was changed before it was said
    return steps


def check_sample(customers, given, imports):
    for ref, action in given.items():
        step, error, texts = customers.failure(imports[ref])
        assert imports[ref]["state"] == "failed" and error["code"] == "aws.denied", (action, imports[ref]["state"], step, texts)
        assert error["text"].find(action + " is denied") >= 0 and "explicit deny" in error["text"], (action, texts)
        assert ":policy/Hidden" in error["text"], texts
        assert error["owner"] == "customer", error


def share_out(previews, refs):
    """One action per world; the actions that only a key needs go to worlds with keys."""
    actions = {}
    for ref in refs:
        for one in previews[ref]["actions"]:
            actions[one["action"]] = one
    given, free = {}, list(refs)
    for name in sorted(actions, key=lambda a: sum(a in [x["action"] for x in previews[r]["actions"]] for r in refs)):
        ref = next(r for r in free if name in [x["action"] for x in previews[r]["actions"]])
        given[ref] = actions[name]
        free.remove(ref)
    return given, free


def settled(customers, count):
    states = {}

    def look():
        states.clear()
        for one in customers.imports().values():
            states[one["state"]] = states.get(one["state"], 0) + 1
        return sum(states.get(s, 0) for s in ("completed", "failed", "held")) == count
    try:
        until(look, 400)
    except AssertionError:
        stuck = [(one["external_ref"], one["blocking"]) for one in customers.imports().values() if one["state"] not in ("completed", "failed")]
        raise AssertionError("imports are %s; %s" % (states, stuck[:5])) from None


def exactly_what_is_printed_is_enough_and_needed(fleet):
    world = World(fleet, 112, latency_ms=1)
    try:
        customers = Customers(world)
        previews, refs = customers.previews(), list(customers.rows)
        exact, sample = refs[:EXACT], dict(zip(refs[EXACT:], SAMPLE))
        assert {customers.rows[r]["access.method"] for r in exact} == {"role", "sealed_key"}, "the seed gives both routes"
        given, unused = share_out(previews, refs[EXACT + len(SAMPLE):])
        for ref in exact + unused:
            customers.give(ref, without(previews[ref]["documents"], None))
        for ref, action in given.items():
            customers.give(ref, without(previews[ref]["documents"], action["action"]))
        for ref, action in sample.items():
            customers.give(ref, without(previews[ref]["documents"], None) + [hidden_deny(action)])
        world.submit()
        world.worker("--calls-max=64")
        settled(customers, len(refs))
        imports = customers.imports()
        check_exact(customers, exact + unused, previews, imports)
        steps = check_removed(customers, given, imports)
        check_sample(customers, sample, imports)
        assert world.end(1) == 0
        world.check_end()
        print("%d customers: %d complete under exactly the printed policy; %d actions taken out one at a time, each named (%s); "
              "%d hidden denies named by their steps" % (len(refs), len(exact + unused), len(given), steps, len(sample)))
    finally:
        world.close()


def undo(customers, refs, imports):
    for ref in refs:
        reply = customers.world.dispatcher.post("/v1/imports/%s:undo" % imports[ref]["id"], {"by": "test", "reason": "contract ends"})
        assert reply.status == 200, (ref, reply)


def wait_undone(customers, refs):
    try:
        until(lambda: all(customers.imports()[ref]["state"] == "undone" for ref in refs), 300, 0.3)
    except AssertionError:
        where = {ref: (one["state"], one["blocking"], customers.failure(one)[2]) for ref, one in customers.imports().items() if ref in refs and one["state"] != "undone"}
        raise AssertionError("not undone: %s" % where) from None


def writes_of_undo(customers, refs, since):
    """What workers changed at AWS on the way back, as actions."""
    accounts = {customers.rows[ref]["organization.management_account_id"] for ref in refs}
    return {e["op"] for e in customers.world.effects()[since:] if e["account"] in accounts and e["request_id"] and e["op"].startswith(WRITES)}


def check_undone_exactly(customers, refs, previews, actions):
    for ref in refs:
        state = customers.sim("world/" + customers.rows[ref]["organization.management_account_id"])["state"]
        refused = [e for e in state["trail_events"] if "AccessDenied" in str(e["CloudTrailEvent"].get("errorCode", ""))]
        assert not refused, refused[:2]
        assert not set(state["iam"]["roles"]) & {"doitintl_cmp", "AWSAdmin"}, (ref, list(state["iam"]["roles"]))
    printed = {a["action"] for ref in refs for a in previews[ref]["actions"]}
    assert actions <= printed and {"iam:DeleteRole", "iam:DetachRolePolicy", "iam:DeletePolicy", "cur:DeleteReportDefinition"} <= actions, actions


def check_stops(customers, ref, action, how):
    """The undo stands still, and says at which action."""
    def look():
        step, error, texts = customers.failure(customers.imports()[ref])
        return step and names(texts, action) and (step, error)
    try:
        step, error = until(look, 200, 0.3)
    except AssertionError:
        raise AssertionError("%s taken away (%s): %s" % (action, how, customers.failure(customers.imports()[ref]))) from None
    assert customers.imports()[ref]["state"] == "undoing" and error["owner"] == "customer", (action, error)
    if how == "missing":
        assert step == "admin_access" and [f["code"] for f in error["findings"]] == ["access.action_missing"], (action, step, error)
    else:
        assert error["code"] == "aws.denied" and ":policy/Hidden" in error["text"], (action, step, error)


def an_undo_needs_what_is_printed_and_no_more(fleet):
    world = World(fleet, UNDO_WORLDS, latency_ms=1)
    try:
        customers = Customers(world)
        previews, refs = customers.previews(), list(customers.rows)
        for ref in refs:
            customers.give(ref, without(previews[ref]["documents"], None))
        world.submit()
        world.worker("--calls-max=64")
        settled(customers, len(refs))
        imports = customers.imports()
        assert {one["state"] for one in imports.values()} == {"completed"}, imports
        exact, since = refs[:EXACT], len(world.effects())
        undo(customers, exact, imports)
        wait_undone(customers, exact)
        actions = writes_of_undo(customers, exact, since)
        check_undone_exactly(customers, exact, previews, actions)
        # And what only odder organizations need on their way back (a bucket that is empty, a policy version too many).
        actions |= {a["action"] for ref in refs for a in previews[ref]["actions"] if a["action"].split(":")[1].startswith(REMOVALS)}

        taken, rest = {}, refs[EXACT:]
        for action, how in [(action, "missing") for action in sorted(actions)] + [(action, "hidden") for action in HIDDEN_UNDO]:
            ref = next(r for r in rest if r not in taken and action in [a["action"] for a in previews[r]["actions"]])
            taken[ref] = (action, how)
        for ref, (action, how) in taken.items():
            documents = without(previews[ref]["documents"], action if how == "missing" else None)
            customers.give(ref, documents + ([hidden_deny(action)] if how == "hidden" else []), is_again=True)
        undo(customers, taken, imports)
        for ref, (action, how) in taken.items():
            check_stops(customers, ref, action, how)
        for ref in taken:
            customers.give(ref, without(previews[ref]["documents"], None), is_again=True)
            assert world.dispatcher.post("/v1/imports/%s:retry" % imports[ref]["id"], {"by": "test"}).status == 200
        wait_undone(customers, taken)
        assert world.end(1) == 0
        audit = world.dispatcher.post("/v1/audit")
        assert audit.status == 200 and audit.json["faults"] == [], audit
        print("%d imports undone under exactly the printed policy; each of %s taken away in turn, named, given back" % (EXACT, sorted(actions)))
    finally:
        world.close()


def refusals_read_as_those_of_aws(fleet):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
    try:
        import boto3  # pylint: disable=import-outside-toplevel
        from botocore.exceptions import ClientError  # pylint: disable=import-outside-toplevel
    except ImportError:
        print("NOT CHECKED: boto3 is not installed")
        return
    world = World(fleet, 1, latency_ms=0)
    try:
        customers = Customers(world)
        ref = next(iter(customers.rows))
        made = customers.sim("world", {"kind": "healthy", "seed": 77})
        while "access_key_id" not in made:
            made = customers.sim("world", {"kind": "healthy"})
        account = made["account"]
        customers.rows[ref]["organization.management_account_id"] = account
        act = lambda what, **args: customers.act(ref, what, **args)  # noqa: E731
        client = lambda service: boto3.client(service, endpoint_url=world.endpoint, region_name="us-east-1",  # noqa: E731
                                              aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"])
        allow = lambda name, *actions: {"name": name, "document": {"Version": "2012-10-17", "Statement": [  # noqa: E731
            {"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}}

        def said(call):
            try:
                call()
                return "allowed"
            except ClientError as error:
                return error.response["Error"]["Message"]

        user = "arn:aws:iam::%s:user/doit-onboarding" % account
        role = "arn:aws:iam::%s:role/doitintl_cmp" % account
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        create = lambda **more: client("iam").create_role(RoleName="doitintl_cmp", AssumeRolePolicyDocument=trust, **more)  # noqa: E731
        act("customer.permissions", documents=[allow("Some", "iam:GetRole")])
        assert said(create) == ("User: %s is not authorized to perform: iam:CreateRole on resource: %s because no identity-based policy "
                                "allows the iam:CreateRole action" % (user, role)), said(create)
        act("customer.permissions", documents=[allow("Some", "iam:CreateRole")])
        tagged = lambda: create(Tags=[{"Key": "a", "Value": "b"}])  # noqa: E731
        assert "perform: iam:TagRole on" in said(tagged), said(tagged)  # a role made with tags needs both rights
        guard = {"name": "Guard", "document": {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": role}]}}
        act("customer.permissions", documents=[guard], and_admin=True)
        assert said(create).endswith("with an explicit deny in an identity-based policy: arn:aws:iam::%s:policy/Guard" % account), said(create)
        act("customer.permissions", documents=[], and_admin=True)
        act("customer.boundary", document=allow("x", "iam:Get*")["document"])
        assert said(create).endswith("because no permissions boundary allows the iam:CreateRole action"), said(create)
    finally:
        world.close()


if __name__ == "__main__":
    tests = [refusals_read_as_those_of_aws, exactly_what_is_printed_is_enough_and_needed, an_undo_needs_what_is_printed_and_no_more]
    run([one for one in tests if len(sys.argv) < 3 or one.__name__ in sys.argv[2:]], sys.argv[1])
