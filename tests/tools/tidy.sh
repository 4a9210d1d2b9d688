#!/usr/bin/env bash
# clang-tidy over the files that differ from the last landed commit (or --all). Uses the Clang build's compile commands.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-tidy >/dev/null || { echo "tidy: clang-tidy is not installed, skipped"; exit 0; }
base=$(git rev-parse --verify -q origin/main || true)
# In a clone nothing differs from where it came: then the last commit is what changed.
if [ -z "$base" ] || git diff --quiet "$base"; then base=$(git rev-parse --verify -q HEAD~1 || true); fi
if [ "${1:-}" = --all ] || [ -z "$base" ]; then
    mapfile -t files < <(git ls-files '*.c' | grep -v '^tests/fuzz/')
else
    mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- '*.c' | grep -v '^tests/fuzz/' | head -n "${TIDY_FILES_MAX:-40}")
fi
[ ${#files[@]} -gt 0 ] || exit 0
echo "== clang-tidy on ${#files[@]} files"
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p .build/clang --quiet 2>/dev/null
