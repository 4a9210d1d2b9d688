#!/usr/bin/env bash
# The local fleet survives: stopped in the middle, started again, it goes on with what it had.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
o=$bin/orgimport
# Looking or acting where no fleet was ever begun begins none: a live worker is no side effect of a list.
for words in list tasks "show local-1" "pause local-1" watch; do
    code=0
    # shellcheck disable=SC2086
    "$o" $words >"$work/none.out" 2>"$work/none.err" || code=$?
    [ "$code" = 3 ] && grep -q 'no fleet yet' "$work/none.err" && grep -q 'local start' "$work/none.err" || fail "$words without a fleet: $code"
done
[ ! -e "$work/s/redis.pid" ] || fail "a look has begun a fleet"
"$o" local start
cat >"$work/one.json" <<'JSON'
{ "external_ref": "local-1", "customer": { "name": "Acme GmbH", "country": "DE" },
  "organization": { "management_account_id": "111122223333" }, "access": { "method": "role" } }
JSON
"$o" check "$work/one.json" || fail "check"
"$o" import "$work/one.json" || fail "import"
"$o" import "$work/one.json" || fail "the same file again must be harmless"
[ "$("$o" list --output jsonl | wc -l)" = 1 ] || fail "one import expected"
"$o" local stop
"$o" list --output jsonl 2>"$work/said" | grep -q '"local-1"' || fail "a fleet that rests is started to be looked at"
grep -q 'starting the private local fleet' "$work/said" || fail "and it is said"
"$o" list 2>&1 >/dev/null | grep . && fail "nothing is started, so nothing is said"
"$o" local stop
"$o" local start >/dev/null
"$o" list --output jsonl | grep -q '"local-1"' || fail "the import is gone after a restart"
"$o" pause local-1 --reason test && "$o" list --state paused --output jsonl | grep -q local-1 || fail "pause"
"$o" resume local-1 && "$o" cancel local-1 --keep --reason test || fail "cancel"
"$o" list --state cancelled --output jsonl | grep -q local-1 || fail "not cancelled"
# A second command line finds the same fleet, and bad input creates nothing.
printf 'external_ref,customer.name,organization.management_account_id\na,A,1.11122E+11\na,B,11112222333\n' >"$work/bad.csv"
code=0
"$o" import "$work/bad.csv" 2>"$work/faults" || code=$?
cat "$work/faults"
[ "$code" = 3 ] || fail "bad input gave exit code $code"
grep -q 'line 2' "$work/faults" && grep -q 'line 3' "$work/faults" || fail "every fault must be named with its line"
[ "$("$o" list --output jsonl | wc -l)" = 1 ] || fail "bad input created something"
# A demo empties its folder first: never one that it did not make, whatever its name. Here a live fleet lives in it.
live=$work/x/demo
ORGIMPORT_STATE_DIR=$live "$o" import "$work/one.json" 2>/dev/null || fail "import into the other fleet"
code=0
ORGIMPORT_STATE_DIR=$work/x "$o" demo --orgs 1 --kinds healthy --no-second-run --timeout-s 60 >"$work/demo.out" 2>&1 || code=$?
grep -q "not a demo's folder" "$work/demo.out" && [ "$code" = 2 ] || { cat "$work/demo.out"; fail "the demo took a live fleet's folder: $code"; }
ORGIMPORT_STATE_DIR=$live "$o" local status >/dev/null || fail "the demo stopped the live fleet"
ORGIMPORT_STATE_DIR=$live "$o" list --output jsonl | grep -q '"local-1"' || fail "the demo lost the live fleet's import"
ORGIMPORT_STATE_DIR=$live "$o" local stop >/dev/null
