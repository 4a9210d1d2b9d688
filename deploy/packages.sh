#!/usr/bin/env bash
# packages.sh KIND...: installs the packages of those kinds (build, run, test) that are missing. No questions.
# As root, or with sudo. hiredis comes from the distribution where it is new enough (Debian 13), else the build makes it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
missing=()
for kind in "$@"; do
    while read -r package; do
        dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
    done < <(awk -v kind="$kind" '$1 == kind { print $2 }' "$here/packages.txt")
done
[ ${#missing[@]} -gt 0 ] || exit 0
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
wanted=()
for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
        wanted+=("$package")
    else
        echo "packages: $package is not in this distribution, left out" >&2
    fi
done
if apt-cache policy libhiredis-dev 2>/dev/null | awk '/Candidate:/ { exit !($2 >= "1.2") }'; then
    wanted+=(libhiredis-dev)
fi
[ ${#wanted[@]} -gt 0 ] || exit 0
log=$(mktemp)
if ! $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${wanted[@]}" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
fi
rm -f "$log"
