#!/usr/bin/env bash
# The main job: every kind of organization ends as its world says, nothing is effective twice, the second run writes nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$bin/orgimport" demo --orgs "${ORGS:-44}" --faults light --seed 3 --timeout-s 400 >"$work/out" 2>&1 || { cat "$work/out"; fail "the demo's exit code is $?"; }
tail -n 3 "$work/out"
tail -n 1 "$work/out" | grep -q '^RESULT: ' || fail "the last line is not the result"
tail -n 1 "$work/out" | grep -q ', 0 twice' || fail "something was effective twice"
grep -q '^second run: .* 0 writes$' "$work/out" || fail "the second run wrote something"
