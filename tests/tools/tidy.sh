#!/usr/bin/env bash
# clang-tidy over the files that differ from the last landed commit (or --all). Uses the Clang build's compile commands.
# A check that silently looks at nothing is worse than none: no git, no compile commands or no file under --all is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-tidy >/dev/null || { echo "tidy: clang-tidy is not installed, skipped"; exit 0; }
[ -f .build/clang/compile_commands.json ] || { echo "tidy: no .build/clang/compile_commands.json; tests/run.sh makes it" >&2; exit 1; }
git rev-parse -q --verify HEAD >/dev/null || { echo "tidy: git does not answer here (another owner of the folder? see safe.directory)" >&2; exit 1; }
mapfile -t all < <(git ls-files '*.c' | grep -v '^tests/fuzz/')
[ ${#all[@]} -gt 0 ] || { echo "tidy: git lists no C file" >&2; exit 1; }
base=$(git rev-parse --verify -q origin/main || true)
# In a clone nothing differs from where it came: then the last commit is what changed.
if [ -z "$base" ] || git diff --quiet "$base"; then base=$(git rev-parse --verify -q HEAD~1 || true); fi
if [ "${1:-}" = --all ] || [ -z "$base" ]; then
    files=("${all[@]}")
else
    mapfile -t changed < <(git diff --name-only --diff-filter=d "$base" -- '*.c' | grep -v '^tests/fuzz/')
    max=${TIDY_FILES_MAX:-40}
    files=("${changed[@]:0:$max}")
    [ ${#changed[@]} -le "$max" ] || echo "tidy: only $max of ${#changed[@]} changed files; --all looks at every one"
fi
echo "== clang-tidy on ${#files[@]} of ${#all[@]} files"
[ ${#files[@]} -gt 0 ] || exit 0
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p .build/clang --quiet 2>/dev/null
