#!/usr/bin/env bash
# Installs what tests need, builds with ASan and UBSan, runs every test, ends with ctest's summary.
#   tests/run.sh [--full] [ctest options]
# --full adds: Clang build, valgrind, ThreadSanitizer, clang-tidy over everything, long soaks. Run it before a release.
# REQUIRE_MOTO=1, REQUIRE_BOTOCORE=1, REQUIRE_CHROMIUM=1: a missing outside part is a failure instead of a skip.
set -euo pipefail
cd "$(dirname "$0")/.."
full=
[ "${1:-}" = --full ] && { full=1; shift; }
export CCACHE_DIR=${CCACHE_DIR:-$PWD/.build/ccache}
echo "== installing packages"
bash deploy/packages.sh build run test
launcher=$(command -v ccache || true)
echo "== building (ASan, UBSan)"
mkdir -p .build
cmake --preset asan -DORGIMPORT_WERROR=ON -DCMAKE_C_COMPILER_LAUNCHER="$launcher" >.build/asan.log 2>&1 || { cat .build/asan.log >&2; exit 1; }
cmake --build .build/asan -j "$(nproc)" >>.build/asan.log 2>&1 || { grep -E -A6 'error|warning' .build/asan.log >&2 || tail -n 40 .build/asan.log >&2; exit 1; }
echo "== building (Clang, warnings as errors, no tests run)"
cmake -S . -B .build/clang -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DORGIMPORT_WERROR=ON \
    -DCMAKE_C_COMPILER_LAUNCHER="$launcher" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >.build/clang.log 2>&1 || { cat .build/clang.log >&2; exit 1; }
cmake --build .build/clang -j "$(nproc)" >>.build/clang.log 2>&1 || { grep -E -A6 'error|warning' .build/clang.log >&2 || tail -n 40 .build/clang.log >&2; exit 1; }
bash tests/tools/format.sh
bash tests/tools/tidy.sh ${full:+--all}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export ORGIMPORT_FULL=$full
[ -z "$full" ] || bash tests/tools/full.sh
echo "== tests"
exec ctest --test-dir .build/asan -j "$(($(nproc) + 1))" --output-on-failure --no-tests=error "$@"
