#!/usr/bin/env bash
# A fleet of real processes under seeded faults. tests/chaos/run.sh --steps N --seed S [--workers W] [--redis single|replica]
# [--bin DIR] [--keep] [--verbose] [--show-schedule N]. Exit 0 when nothing was lost and nothing was effective twice.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
command -v redis-server >/dev/null || { echo "SKIPPED: redis-server is not installed"; exit 77; }
bin=
for dir in release asan dev; do # the newest tools of a build that has them; --bin wins
    [ -x "$root/.build/$dir/bin/chaos_proxy" ] && { bin=$root/.build/$dir/bin; break; }
done
exec python3 "$here/chaos.py" ${bin:+--bin "$bin"} "$@"
