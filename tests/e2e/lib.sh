# Sourced by the end-to-end tests: a private state folder, and everything stopped at the end.
bin=$1
work=$(mktemp -d /tmp/oi-e2e.XXXXXX)
export ORGIMPORT_STATE_DIR=$work/s
finish() {
    code=$?
    "$bin/orgimport" local stop >/dev/null 2>&1 || true
    for pid in $(cat "$work"/s/*.pid "$work"/s/demo/*.pid "$work"/x/demo/*.pid 2>/dev/null | awk '{print $1}'); do kill -9 "$pid" 2>/dev/null || true; done
    if [ "$code" != 0 ] && [ "$code" != 77 ]; then
        echo "--- logs (last lines) ---"
        tail -n 15 "$work"/s/*.log "$work"/s/demo/*.log 2>/dev/null | cut -c1-600
    fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
