#!/usr/bin/env bash
# The local fleet survives: stopped in the middle, started again, it goes on with what it had.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
o=$bin/orgimport
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
