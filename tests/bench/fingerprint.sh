#!/usr/bin/env bash
# Answers of AWS that a fingerprint takes, by size of organization, beside the least that AWS's page sizes allow, and the time
# that half of AWS's documented rates take for them. Nothing is asserted here but that every walk ends; sizes of 1,000 and 5,000
# run with ORGIMPORT_FULL=1 or when asked for:  tests/bench/fingerprint.sh BIN_DIR [SIZE..]
set -euo pipefail
bin=$(cd "$1" && pwd)
shift
sizes=("$@")
[ ${#sizes[@]} -gt 0 ] || { sizes=(10 100); [ "${ORGIMPORT_FULL:-}" = 1 ] && sizes=(10 100 1000 5000); }
work=$(mktemp -d)
sim=
trap '[ -z "$sim" ] || kill "$sim" 2>/dev/null || true; rm -rf "$work"' EXIT
detail=$work/detail
printf '%9s %9s %9s %9s %7s %12s %9s %9s\n' accounts answers floor sections over% "s at rates" json.KB cpu.s
for size in "${sizes[@]}"; do
    rm -f "$work/address" "$work/keys"
    "$bin/orgimport-awssim" --listen 127.0.0.1:0 --address-file "$work/address" --orgs 8 --seed 7 --kinds large --accounts-max "$size" \
        --credentials "$work/keys" --operator-credentials "$work/op" >"$work/sim.log" 2>&1 &
    sim=$!
    for _ in $(seq 600); do [ -s "$work/address" ] && break; sleep 0.1; done
    who=$(sed -n 's/^\[\(.*\)\]$/\1/p' "$work/keys" | head -n 1)
    TIMEFORMAT=%U
    cpu=$({ time "$bin/orgimport" snapshot take --out "$work/snapshot.json" --sim "$(cat "$work/address")" --sim-credentials "$work/keys" \
        --profile "$who" --rate-scale-pct 100000 2>"$work/err"; } 2>&1) || { cat "$work/err"; exit 1; }
    kill "$sim" && wait "$sim" 2>/dev/null || true
    sim=
    python3 - "$work/snapshot.json" "$size" "$cpu" "$detail" <<'P'
import json, os, sys
path, size, cpu, detail = sys.argv[1:]
calls = json.load(open(path, encoding="utf-8"))["calls"]
print("%9s %9d %9d %9d %6.1f%% %12d %9d %9s" % (size, calls["calls"], calls["floor"], len(calls["sections"]),
      100 * (calls["calls"] / calls["floor"] - 1), calls["seconds_at_rates"], os.path.getsize(path) // 1024, cpu))
json.dump(calls["sections"], open(detail, "w", encoding="utf-8"))
P
done
printf '\nby section, %s accounts (answers / floor, both for two equal reads):\n' "$size"
python3 - "$detail" <<'P'
import json, sys
for name, row in sorted(json.load(open(sys.argv[1], encoding="utf-8")).items(), key=lambda one: -one[1]["calls"]):
    print("  %-18s %6d / %d" % (name, row["calls"], row["floor"]))
P
