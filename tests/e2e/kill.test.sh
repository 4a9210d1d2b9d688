#!/usr/bin/env bash
# kill -9 of worker, dispatcher and Redis in turn, again and again, under heavy faults: the same result.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$bin/orgimport" demo --orgs "${ORGS:-20}" --faults heavy --seed 7 --workers 2 --timeout-s 500 --no-second-run >"$work/out" 2>&1 &
demo=$!
killed=0
dir=$work/s/demo
for name in worker-1 dispatcher redis worker-2 worker-1 redis dispatcher worker-2; do
    # Not before the victim works: the condition is its pid file and a live process, never a pause for luck.
    for _ in $(seq 200); do
        kill -0 "$demo" 2>/dev/null || break 2
        pid=$(awk '{print $1}' "$dir/$name.pid" 2>/dev/null || true)
        [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ -s "$dir/address" ] && [ -s "$dir/effects.jsonl" ] && break
        sleep 0.1
    done
    lines=$(wc -l <"$dir/effects.jsonl" 2>/dev/null || echo 0)
    kill -9 "$pid" 2>/dev/null && killed=$((killed + 1))
    for _ in $(seq 100); do # until the fleet has moved on, or a bounded while when it is waiting for people
        kill -0 "$demo" 2>/dev/null || break
        [ "$(wc -l <"$dir/effects.jsonl" 2>/dev/null || echo 0)" -gt "$lines" ] && break
        sleep 0.1
    done
done
wait "$demo" || { cat "$work/out"; fail "the demo ended with $?"; }
tail -n 4 "$work/out"
echo "killed $killed processes"
[ "$killed" -ge 4 ] || fail "only $killed processes could be killed: the run was over too soon"
tail -n 1 "$work/out" | grep -q ', 0 twice' || fail "something was effective twice"
