#!/usr/bin/env bash
# What a fleet on several machines needs: keys and a token made beforehand and never replaced, and a simulated AWS whose
# admin pages stay on its own machine unless a flag says otherwise.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mode() { stat -c %a "$1"; }
make_keys() { "$bin/orgimport-dispatcher" --make-keys --keys="$work/keys" --token-file="$work/token" 2>"$work/err"; }

make_keys >"$work/said" || fail "--make-keys ended with $?: $(cat "$work/err")"
grep -q "$work/keys" "$work/said" && grep -q "$work/token" "$work/said" || fail "--make-keys does not say where: $(cat "$work/said")"
[ "$(mode "$work/token")" = 600 ] || fail "the token file has mode $(mode "$work/token")"
[ "$(ls "$work"/keys/seal-*.pub | wc -l)" = 1 ] || fail "not one public key"
[ "$(mode "$work"/keys/seal-*.key)" = 600 ] || fail "the private key has mode $(mode "$work"/keys/seal-*.key)"
before=$(cat "$work/token" "$work"/keys/* | sha256sum)
make_keys >/dev/null
[ "$before" = "$(cat "$work/token" "$work"/keys/* | sha256sum)" ] || fail "a second --make-keys changed something"
echo short >"$work/token"
make_keys >/dev/null && fail "a token of five characters was taken"
"$bin/orgimport-dispatcher" --make-keys --token-file="$work/token2" >/dev/null 2>&1 && fail "no --keys, and nothing said"
[ ! -e "$work/token2" ] || fail "a refused --make-keys left a token"

here=$(ip -4 -o addr show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4; exit }' || true)
[ -n "$here" ] || { echo "no address besides loopback: the admin pages were not tried"; exit 0; }
look() { # FLAG PATH: status of an admin page seen from the machine's own outer address
    rm -f "$work/address"
    "$bin/orgimport-awssim" --listen 0.0.0.0:0 --address-file "$work/address" $1 >/dev/null 2>&1 &
    local sim=$! status
    for _ in $(seq 600); do [ -s "$work/address" ] && break; sleep 0.05; done
    status=$(python3 - "http://$here:$(sed 's/.*://' "$work/address")/_sim/$2" <<'P'
import sys, urllib.error, urllib.request
try:
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
P
    )
    kill "$sim"; wait "$sim" 2>/dev/null || true
    echo "$status"
}
[ "$(look "" worlds)" = 403 ] || fail "the admin pages answer the network"
[ "$(look "" healthz)" = 200 ] || fail "whether it lives may be asked from anywhere"
[ "$(look --allow-admin-from-anywhere worlds)" = 200 ] || fail "--allow-admin-from-anywhere does not open the admin pages"
echo "keys are made once; admin pages are loopback's unless opened"
