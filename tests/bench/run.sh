#!/usr/bin/env bash
# The queue beside BullMQ, bee-queue and Sidekiq, and what it costs Redis:  tests/bench/run.sh [--json] [--quick] [--only beside,turns,..]
# Builds what it measures (release), installs the others into a folder outside of the tree, prints a table or JSON. See README.md here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
peers=${ORGIMPORT_BENCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/orgimport-bench}
bin=${ORGIMPORT_BENCH_BIN:-$tree/.build/release/bin}

if [ -z "${ORGIMPORT_BENCH_BIN:-}" ]; then
    [ -f "$tree/.build/release/build.ninja" ] || (cd "$tree" && cmake --preset release >/dev/null)
    cmake --build "$tree/.build/release" --target orgimport-drill-worker orgimport-dispatcher drill_submit bench_queue bench_pace >&2
fi

# What cannot be installed here is named by bench.py and left out.
mkdir -p "$peers"
if command -v npm >/dev/null && ! cmp -s "$here/peers/package.json" "$peers/package.json"; then
    cp "$here/peers/package.json" "$peers/package.json.new"
    if (cd "$peers" && mv package.json.new package.json && npm install --no-package-lock --no-audit --no-fund --ignore-scripts >install.log 2>&1); then
        echo "run.sh: installed BullMQ and bee-queue into $peers" >&2
    else
        rm -f "$peers/package.json"
        echo "run.sh: npm could not install BullMQ and bee-queue: $peers/install.log" >&2
    fi
fi
if ! command -v sidekiq >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y -qq --no-install-recommends ruby-sidekiq ruby-hiredis >"$peers/apt.log" 2>&1 || true
fi
exec python3 "$here/bench.py" --bin "$bin" --peers "$peers" "$@"
