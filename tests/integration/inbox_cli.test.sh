#!/usr/bin/env bash
# The inbox with nothing but redis-cli: one line puts an import in, one line reads the answer. Arg 1: folder of the programs.
set -eu
bin=${1:?folder of the programs}
for tool in redis-server redis-cli; do
    command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is not installed"; [ "${REQUIRE_REDIS:-}" = 1 ] && exit 1; exit 77; }
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/orgimport-inbox-XXXXXX")
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
redis() { redis-cli -s "$dir/redis.sock" "$@"; }
until_true() { # words: a command; asks again for 20 s
    for _ in $(seq 400); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
    echo "never came true: $*"; cat "$dir/dispatcher.log"; return 1
}

redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --appendonly yes --appendfsync always --save '' \
    --maxmemory-policy noeviction --loglevel warning >/dev/null &
pids+=($!)
until_true redis PING
"$bin/orgimport-dispatcher" --redis="unix://$dir/redis.sock" --mode=sim --listen=127.0.0.1:0 --address-file="$dir/address" \
    --token-file="$dir/token" 2>"$dir/dispatcher.log" &
pids+=($!)
until_true test -s "$dir/address"

redis XADD 'f:{0}:in' '*' request '{"external_ref":"shell-1","customer":{"name":"Shell"},"organization":{"management_account_id":"111122223333"}}'
answered() { [ "$(redis XLEN 'f:{0}:out')" -ge "$1" ]; }
until_true answered 1
redis XREVRANGE 'f:{0}:out' + - COUNT 1 | tee "$dir/answer"
grep -qx accepted "$dir/answer"
grep -qx shell-1 "$dir/answer"

redis XADD 'f:{0}:in' '*' request 'this is no JSON'
until_true answered 2
redis XREVRANGE 'f:{0}:out' + - COUNT 1 | tee "$dir/answer"
grep -qx refused "$dir/answer"
grep -q input.syntax "$dir/answer"
echo ok
