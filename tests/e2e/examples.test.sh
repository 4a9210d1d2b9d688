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
verbs=$("$o" help | sed -n '/^usage/,/^Options/p' | awk '/^  [a-z]/ {print $1}')
[ "$(wc -w <<<"$verbs")" -ge 16 ] || fail "too few verbs: $verbs"
for verb in $verbs; do
    example=$("$o" help "$verb" | awk 'p {print; exit} /^example:/ {p = 1}' | sed -E "s/^ *orgimport //; s/sim-0001/$ref/g")
    [ -n "$example" ] || fail "$verb has no example"
    case $verb in demo) continue ;; esac # it runs above, and would end this one
    code=0
    # shellcheck disable=SC2086
    "$o" $example >"$work/$verb.out" 2>&1 || code=$?
    echo "$code  orgimport $example"
    # Completed imports cannot be paused or retried, and a task may be gone: a refusal is an answer (1, 3), misuse (2) is not.
    case $verb:$code in *:0 | watch:* | pause:1 | resume:1 | retry:1 | accept:1 | cancel:1 | done:1 | local:3 | import:1 | verify:6) ;; *) cat "$work/$verb.out"; fail "$verb ended with $code" ;; esac
done
for output in json jsonl; do
    "$o" list --output $output | python3 -c 'import json,sys; [json.loads(l) for l in ([sys.stdin.read()] if sys.argv[1] == "json" else sys.stdin)]' $output || fail "--output $output"
done
