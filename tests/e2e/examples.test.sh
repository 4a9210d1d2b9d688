#!/usr/bin/env bash
# Every verb's help has an example, and the example runs against a demo that was left up.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
o=$bin/orgimport
"$o" demo --orgs 3 --kinds healthy --seed 5 --keep --no-second-run --timeout-s 200 >"$work/out" 2>&1 || { cat "$work/out"; fail "demo"; }
tail -n 2 "$work/out"
cd "$work"
cp "$work/s/demo/customers.csv" customers.csv
cp "$work/s/demo/credentials.ini" keys.ini
ref=$("$o" list --output jsonl | head -n 1 | sed -E 's/.*"external_ref": ?"([^"]+)".*/\1/')
# The first customer once more, this time with a plan and by a role: what plan, approve and apply are shown with.
python3 - customers.csv planned.csv <<'P'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8")))
row = dict(rows[0], external_ref="planned", **{"access.method": "role"})
out = csv.DictWriter(open(sys.argv[2], "w", newline="", encoding="utf-8"), row)
out.writeheader()
out.writerow(row)
P
planned=5
for _ in 1 2 3; do # 5: waits until the customer has handed over the role
    [ "$planned" != 5 ] || { planned=0; "$o" plan planned.csv >"$work/out" 2>&1 || planned=$?; "$o" watch planned >/dev/null 2>&1 || true; }
done
case $planned in 0 | 4) ;; *) cat "$work/out"; fail "plan ended with $planned" ;; esac
verbs=$("$o" help | sed -n '/^usage/,/^Options/p' | awk '/^  [a-z]/ {print $1}')
[ "$(wc -w <<<"$verbs")" -ge 16 ] || fail "too few verbs: $verbs"
for verb in $verbs; do
    case $verb in plan | approve | apply) one=planned ;; *) one=$ref ;; esac
    example=$("$o" help "$verb" | awk 'p {print; exit} /^example:/ {p = 1}' | sed -E "s/^ *orgimport //; s/sim-0001/$one/g")
    [ -n "$example" ] || fail "$verb has no example"
    case $verb in demo) continue ;; esac # it runs above, and would end this one
    code=0
    # shellcheck disable=SC2086
    "$o" $example >"$work/$verb.out" 2>&1 || code=$?
    echo "$code  orgimport $example"
    # undo shows its plan and asks for --yes (4). Completed imports cannot be paused or retried, and a task may be gone: a refusal is an answer (1, 3), misuse (2) is not.
    case $verb:$code in *:0 | watch:* | pause:1 | resume:1 | retry:1 | accept:1 | cancel:1 | undo:4 | done:1 | local:3 | import:1 | verify:6 | plan:4) ;; *) cat "$work/$verb.out"; fail "$verb ended with $code" ;; esac
done
for output in json jsonl; do
    "$o" list --output $output | python3 -c 'import json,sys; [json.loads(l) for l in ([sys.stdin.read()] if sys.argv[1] == "json" else sys.stdin)]' $output || fail "--output $output"
done
