#!/usr/bin/env bash
# Fails when a C file is not as clang-format would write it. `format.sh --fix` rewrites.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t files < <(git ls-files '*.c' '*.h' 2>/dev/null || find common worker dispatcher tests -name '*.[ch]')
command -v clang-format >/dev/null || { echo "format: clang-format is not installed, skipped"; exit 0; }
if [ "${1:-}" = --fix ]; then
    exec clang-format -i "${files[@]}"
fi
# Versions differ in details: only the one this tree is written with is asked.
clang-format --version | grep -q 'version 14' || { echo "format: only version 14 is asked, skipped"; exit 0; }
clang-format --dry-run -Werror "${files[@]}" 2>&1 | head -n 40 && [ "${PIPESTATUS[0]}" = 0 ]
