"""What a customer would compare of a simulated organization before and after: the state of a world without clocks, keys and
the access that was made for us."""
import json

BOOTSTRAP = "OrgImportBootstrap"
REJECTED = ("tax", "status")  # of the registration that was put back


def reports(state):
    found = state.get("cur", {}).get("reports", {})
    return {r["ReportName"]: r for r in found} if isinstance(found, list) else found


def essence(state, without=()):
    """`without`: what an undo lists as remainder, as remainder() gives it."""
    left = set(without)
    roles = {n: {k: v for k, v in r.items() if k != "usable_ms"} for n, r in state["iam"]["roles"].items()
             if n != BOOTSTRAP and ("iam.roles", n) not in left}
    users = {n: {k: v for k, v in u.items() if k not in ("access_keys", "PasswordLastUsed")} for n, u in state["iam"]["users"].items()}
    buckets = {n: {k: v for k, v in b.items() if k != "objects"} for n, b in state["s3"]["buckets"].items() if ("s3", n) not in left}
    policies = {n: p for n, p in state["iam"]["policies"].items() if ("iam.policies", p["Arn"]) not in left}
    tax = json.loads(json.dumps(state.get("tax", {}).get("accounts", {})))
    for one in tax.values():
        one.pop("settles_ms", None)
        if REJECTED in left:
            one.pop("status", None)
    return {"organization": state["organization"], "accounts": state["accounts"], "tree": state["tree"], "org policies": state.get("policies"),
            "trusted": state.get("trusted_services"), "delegated": state.get("delegated"), "roles": roles, "users": users, "buckets": buckets,
            "iam policies": policies, "reports": {n: r for n, r in reports(state).items() if ("cur", n) not in left}, "tax": tax,
            "contact": state.get("contact"), "payment": state.get("billing", {}).get("payment"), "root email": state["root"]["email"],
            "root devices": sorted(d["SerialNumber"] for d in state["root"].get("mfa_devices", []))}


def remainder(view):
    """What the undo of an import lists as still there: (section, key) of the fingerprint, and what no fingerprint holds."""
    listed = view["undo"]["remains"]
    return {(one["section"], one["key"]) for item in listed for one in item.get("in", [])} | {
        REJECTED for item in listed if item.get("step") == "tax_profile" and "AWS rejected it" in item["what"]}


def difference(a, b, where=""):
    """The first difference in words, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b), key=str):
            found = difference(a.get(key), b.get(key), where + "/" + str(key))
            if found:
                return found
        return None
    return None if a == b else "%s: %.300r became %.300r" % (where, a, b)


def has_only_grown(was, now):
    """All that was there still is, as it was."""
    if isinstance(was, dict) and isinstance(now, dict):
        return all(key in now and has_only_grown(value, now[key]) for key, value in was.items())
    if isinstance(was, list) and isinstance(now, list):
        return all(one in now for one in was)
    return was is None or was == now
