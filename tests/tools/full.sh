#!/usr/bin/env bash
# What `tests/run.sh --full` adds: unit tests under valgrind (a plain build) and ThreadSanitizer.
set -euo pipefail
cd "$(dirname "$0")/../.."
launcher=$(command -v ccache || true)
for kind in dev tsan; do
    echo "== building ($kind)"
    cmake --preset "$kind" -DCMAKE_C_COMPILER_LAUNCHER="$launcher" >".build/$kind.log" 2>&1
    cmake --build ".build/$kind" -j "$(nproc)" >>".build/$kind.log" 2>&1 || { tail -n 40 ".build/$kind.log" >&2; exit 1; }
done
echo "== unit tests under valgrind"
for test in .build/dev/bin/unit.*; do
    echo "   $(basename "$test")"
    code=0
    valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite "$test" >/tmp/valgrind.$$ 2>&1 || code=$?
    [ "$code" = 0 ] || [ "$code" = 77 ] || { cat /tmp/valgrind.$$ >&2; rm -f /tmp/valgrind.$$; exit 1; }
    rm -f /tmp/valgrind.$$
done
echo "== tests under ThreadSanitizer"
ctest --test-dir .build/tsan -j "$(nproc)" --output-on-failure --no-tests=error -R '^(unit|integration)\.'
echo "== containers"
code=0
bash tests/e2e/containers.sh || code=$?
[ "$code" = 0 ] || [ "$code" = 77 ]
