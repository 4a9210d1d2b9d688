#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to a running import: installs what is needed, builds, runs the demo. No questions.
#   deploy/quickstart.sh [--keep] [options of `orgimport demo`]
# --keep leaves the fleet up and prints its address. A second run is quick and harmless.
set -euo pipefail
cd "$(dirname "$0")/.."
build=.build/release
echo "== installing packages"
bash deploy/packages.sh build run
echo "== building"
cmake --preset release -DORGIMPORT_TESTS=OFF -DCMAKE_C_COMPILER_LAUNCHER="$(command -v ccache || true)" >.build.log 2>&1 ||
    { mkdir -p .build; mv .build.log .build/quickstart.log; cat .build/quickstart.log >&2; exit 1; }
mkdir -p .build && mv .build.log .build/quickstart.log
cmake --build "$build" -j "$(nproc)" >>.build/quickstart.log 2>&1 || { tail -n 40 .build/quickstart.log >&2; exit 1; }
echo "== the demo: simulated AWS, local fleet, sample customers"
exec "$build/bin/orgimport" demo --orgs 12 --faults light "$@"
