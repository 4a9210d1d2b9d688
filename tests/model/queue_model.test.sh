#!/usr/bin/env bash
# The protocol holds in every state of the model, and each rule is needed: without it the model finds the fault named.
set -euo pipefail
model=$1/queue_model
needs() { # rule, the fault that its absence brings
    local out code=0
    out=$("$model" --without "$1") || code=$?
    [ $code = 1 ] && grep -q "^$2:" <<<"$out" || { echo "without $1: expected a fault of '$2', got (exit $code): $out"; exit 1; }
    echo "without $1: $(head -n 1 <<<"$out")"
}
needs nonce holder
needs wait-intent effect
needs wait-finish kept
needs age effect
needs signing effect
"$model"
