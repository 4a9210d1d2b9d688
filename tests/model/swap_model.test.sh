#!/usr/bin/env bash
# The swap form holds in every state of the model, and each rule is needed: without it the model finds the fault named.
set -euo pipefail
model=$1/swap_model
needs() { # rule, the fault that its absence brings, options
    local out code=0
    out=$("$model" --without "$1" "${@:3}") || code=$?
    [ $code = 1 ] && grep -q "^$2:" <<<"$out" || { echo "without $1: expected a fault of '$2', got (exit $code): $out"; exit 1; }
    echo "without $1${3:+ (${*:3})}: $(head -n 1 <<<"$out")"
}
needs nonce holder
needs claimed once
needs stamp decided
needs compare equal
needs compare decided --ignore equal
needs wait-cancel decided
needs wait-finish kept
needs wait-intent decided
needs wait-intent effect --without cancel
needs over effect --without cancel
needs lines effect --without cancel
needs age effect --without cancel
needs signing effect --without cancel
"$model" --without cancel # live: it can be completed, not only cancelled
# Open, see README.md: with a cancel and a failover an intent that comes late can stand in for a newer one. Whoever mends
# it finds this line failing.
if [ -n "${ORGIMPORT_FULL:-}" ]; then
    needs afresh effect # 3 million states
fi
