#!/usr/bin/env bash
# Builds the images and runs the compose file without any registry: 20 customers are imported while a worker is killed
# and workers go 3 -> 1 -> 4. Slow (minutes), so it is no part of tests/run.sh unless --full.
#   tests/e2e/containers.sh [--keep]      as root; --keep leaves everything up and says how to look at it
# Images, containers and volumes live in a temporary folder, networks in a namespace; all vanish at the end. The base image is made once by
# debootstrap from this system's own package source and kept in CONTAINER_CACHE.
# Exit 77: podman and its helpers are not there and cannot be installed (REQUIRE_CONTAINERS=1 makes that a failure).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/containers_lib.sh
keep=
[ "${1:-}" = --keep ] && keep=1
customers=20 deadline_s=${DEADLINE_S:-420}

need_tools
open_storage
trap close_storage EXIT

step "base image"
import_base bookworm
step "images"
build redis docker/redis.Dockerfile ""
for target in dispatcher worker cli awssim; do build "$target" docker/Dockerfile "$target"; done

step "what the images are"
for target in dispatcher worker cli awssim; do
    [ "$(inside "$target" id -u)" = 10001 ] || fail "$target does not run as user 10001"
    tools=$(inside "$target" sh -c 'for t in cc gcc clang ld as make cmake ninja git; do command -v $t || true; done')
    [ -z "$tools" ] || fail "$target holds a compiler: $tools"
    lists=$(inside "$target" sh -c 'ls /var/lib/apt/lists /var/cache/apt/archives/*.deb 2>/dev/null | grep -c _ || true')
    [ "$lists" = 0 ] || fail "$target holds package lists"
    inside "$target" sh -c ': >/usr/bin/x' 2>/dev/null && fail "the root filesystem of $target can be written"
done
for target in dispatcher worker; do
    inside "$target" "orgimport-$target" --version >>"$log" || fail "$target does not start on a read-only root"
done
inside cli orgimport version >>"$log" && inside awssim orgimport-awssim --help >>"$log" || fail "cli or awssim do not start"
code=0
podman run --rm --read-only --network none --tmpfs /tmp orgimport-worker >>"$log" 2>&1 || code=$?
[ "$code" = 2 ] || fail "a worker without settings must end with 2, not $code"

step "fleet up, 3 workers"
export REDIS_IMAGE=orgimport-redis ORGS=$customers KINDS=healthy PEOPLE_DELAY_MS=${PEOPLE_DELAY_MS:-4000}
compose_up 3
wait_for 90 "the dispatcher is ready" is_ready
wait_for 60 "3 workers are well" workers_well 1 2 3
podman exec "$(name worker 1)" grep -q '^CapEff:.*0000000000000000$' /proc/1/status || fail "a worker holds capabilities"

step "$customers customers"
cli import /sim/customers.csv --credentials /sim/credentials.ini >>"$log" || fail "import: $(tail -n 3 "$log")"
[ "$(cli --output json list | count_imports all)" = "$customers" ] || fail "not $customers imports were made"
# A few wait for the fourth worker, so that the run cannot be over before the fleet has been scaled.
late=$(cli --output json list | refs_of 4)
for ref in $late; do cli pause "$ref" --reason "until the fleet is large again" >>"$log" || fail "pause $ref"; done

wait_for 120 "the run is under way" writes_reach 30
step "SIGKILL for $(name worker 2)"
kill_container "$(name worker 2)"
wait_for 60 "the killed worker is back and well" workers_well 2
wait_for 120 "writes go on" writes_reach $(($(writes) + 10))

step "3 workers -> 1"
for n in 2 3; do drain_worker "$n"; done
wait_for 120 "one worker goes on" writes_reach $(($(writes) + 10))

step "1 worker -> 4"
compose_up 4
wait_for 60 "4 workers are well" workers_well 1 2 3 4
for ref in $late; do cli resume "$ref" >>"$log" || fail "resume $ref"; done

step "until all are completed"
wait_for "$deadline_s" "all $customers imports are completed" all_completed || true
cli list | tee -a "$log" | tail -n "$customers" >"$work/list"
all_completed || { cat "$work/list"; fail "not all imports were completed in $deadline_s s"; }
effects_once || fail "something was effective twice"
api POST /v1/audit >"$work/audit" || fail "audit: $(cat "$work/audit")"
audit_clean <"$work/audit" || fail "the audit found: $(cut -c1-600 "$work/audit")"
verdicts=$(cli --output json list | verdicts_of)
step "done"
echo "images: $(podman images --format '{{.Repository}} {{.Size}}' | sed -n 's/^localhost\/orgimport-//p' | sort | paste -sd, | sed 's/,/, /g')"
echo "RESULT: $customers imports completed ($verdicts); $(writes) writes, 0 twice; one worker killed, workers 3 -> 1 -> 4; $SECONDS s"
