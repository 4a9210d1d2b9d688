# shellcheck shell=bash disable=SC2154
# Sourced by containers.sh: a container storage of its own, and small questions to the fleet in it.
project=oicheck
cache=${CONTAINER_CACHE:-${TMPDIR:-/tmp}/orgimport-containers}

step() { printf '== %4d s  %s\n' "$SECONDS" "$*"; }
name() { echo "${project}_$1_$2"; }

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

missing_tools() {
    local tool
    for tool in podman runc podman-compose debootstrap iptables ip python3; do
        command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || echo "$tool"
    done
    [ -x /usr/lib/podman/netavark ] || command -v netavark >/dev/null || echo netavark
}

need_tools() {
    local why=
    if [ "$(id -u)" != 0 ]; then
        why="needs root"
    elif [ -n "$(missing_tools)" ]; then
        bash deploy/packages.sh containers || true
        [ -z "$(missing_tools)" ] || why="not there: $(missing_tools | paste -sd' ')"
    fi
    [ -n "$why" ] || return 0
    echo "containers: $why"
    [ "${REQUIRE_CONTAINERS:-}" = 1 ] && exit 1
    exit 77
}

# ---- Storage and network --------------------------------------------------------------------------------------------
# Everything of podman in one folder, and the fleet's network in a network namespace of its own: the system's images,
# containers, ports and firewall rules are neither seen nor touched.

open_storage() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/orgimport-containers.XXXXXX")
    log=$work/log
    mkdir -p "$cache" "$work/networks" "$work/tmp" "$work/volumes"
    cat >"$work/storage.conf" <<C
[storage]
driver = "overlay"
graphroot = "$work/storage"
runroot = "$work/run"
C
    # File limits: the engine may not raise them everywhere. runc: crun refuses machines with both kinds of cgroups.
    cat >"$work/containers.conf" <<C
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
log_driver = "k8s-file"
[network]
network_config_dir = "$work/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$work/tmp"
volume_path = "$work/volumes"
C
    echo 'unqualified-search-registries = []' >"$work/registries.conf" # a name that is not here must not be looked for
    export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf
    export CONTAINERS_REGISTRIES_CONF=$work/registries.conf TMPDIR=$work/tmp DISABLE_HC_SYSTEMD=true
    unset STORAGE_DRIVER XDG_RUNTIME_DIR
    unshare --net sleep infinity &
    net_holder=$!
    until [ "$(readlink "/proc/$net_holder/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    net ip link set lo up
}

net() { nsenter --net="/proc/$net_holder/ns/net" -- "$@"; }

logs_of_fleet() {
    local one
    for one in $(podman ps -a --format '{{.Names}}' 2>/dev/null); do
        echo "--- $one: $(podman inspect -f '{{.State.Status}}, exit {{.State.ExitCode}}' "$one") ---"
        podman logs --tail 8 "$one" 2>&1 | cut -c1-400
    done
}

close_storage() {
    local code=$? mount
    if [ "$code" != 0 ]; then
        echo "--- log ---"
        tail -n 20 "$log" | cut -c1-400
        logs_of_fleet
    fi
    if [ -n "${keep:-}" ]; then
        echo "kept: nsenter --net=/proc/$net_holder/ns/net env CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF CONTAINERS_CONF=$CONTAINERS_CONF podman ps; everything is in $work"
        exit "$code"
    fi
    net podman rm -fa -t 5 >>"$log" 2>&1 || true
    kill "$net_holder" 2>/dev/null || true
    awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" || true; done
    rm -rf --one-file-system "$work"
    exit "$code"
}

# ---- Images ---------------------------------------------------------------------------------------------------------

system_mirror() {
    local found
    found=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    [ -n "$found" ] || found=$(awk '$1 == "deb" { print ($2 ~ /^\[/) ? $3 : $2; exit }' /etc/apt/sources.list)
    echo "$found"
}

import_base() { # SUITE: the image debian:SUITE-slim under the name that the Dockerfile asks for
    local tar=$cache/$1-slim.tar part excludes=()
    for part in doc man info locale; do excludes+=(--exclude="./usr/share/$part/*"); done # as the slim images lack them
    if [ ! -s "$tar" ]; then
        debootstrap --variant=minbase --include=ca-certificates "$1" "$work/root" "$(system_mirror)" >>"$log" 2>&1 ||
            fail "debootstrap: $(tail -n 3 "$log")"
        printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
        tar -C "$work/root" "${excludes[@]}" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' \
            --exclude='./dev/*' -cf "$tar.new" .
        mv "$tar.new" "$tar"
        rm -rf --one-file-system "$work/root"
    fi
    podman import -c 'CMD ["/bin/bash"]' "$tar" "localhost/debian:$1-slim" >>"$log" 2>&1 || fail "import: $(tail -n 3 "$log")"
}

build() { # NAME DOCKERFILE TARGET: as `docker build` would, but with the host's network and nothing pulled
    podman build --pull=never --network host --isolation chroot --format docker --layers -f "$2" ${3:+--target "$3"} \
        -t "orgimport-$1" . >>"$log" 2>&1 || fail "building $1: $(tail -n 5 "$log")"
}

inside() { # IMAGE COMMAND...: in a container as it is deployed: no capability, nothing writable
    local image=$1 program=$2
    shift 2
    podman run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --network none --entrypoint "$program" \
        "orgimport-$image" "$@"
}

# ---- The fleet ------------------------------------------------------------------------------------------------------

compose_up() { # WORKERS
    WORKERS=$1 net podman-compose -p "$project" -f docker/compose.yaml up -d --no-build >>"$log" 2>&1 || fail "compose: $(tail -n 5 "$log")"
}

volume() { podman volume inspect --format '{{.Mountpoint}}' "${project}_$1"; }

cli() {
    net podman run --rm --read-only --cap-drop ALL --network "${project}_default" -v "${project}_fleet:/fleet:ro" \
        -v "${project}_sim:/sim:ro" -e ORGIMPORT_URL=http://dispatcher:8080 -e ORGIMPORT_TOKEN_FILE=/fleet/token orgimport-cli "$@" 2>>"$log"
}

api() { # METHOD PATH: through the published port
    net python3 - "$1" "http://127.0.0.1:8080$2" "$(volume fleet)/token" <<'P'
import sys, urllib.request
token = open(sys.argv[3]).read().strip()
request = urllib.request.Request(sys.argv[2], method=sys.argv[1], headers={"Authorization": "Bearer " + token},
                                 data=b"" if sys.argv[1] == "POST" else None)
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).read().decode())
P
}

wait_for() { # SECONDS WHAT CONDITION...
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $what"
        sleep 0.3
    done
}

is_ready() { api GET /readyz >/dev/null 2>&1; }

workers_well() {
    local n
    for n in "$@"; do podman healthcheck run "$(name worker "$n")" >/dev/null 2>&1 || return 1; done
}

effects() { # writes, and those that were effective twice
    python3 - "$(volume sim)/effects.jsonl" <<'P'
import collections, json, sys
seen = collections.Counter()
for line in open(sys.argv[1], encoding="utf-8"):
    if not line.endswith("\n"):
        break
    one = json.loads(line)
    if not one["repeat"]:
        seen[tuple(one[k] for k in ("account", "op", "resource", "before", "after"))] += 1
print(sum(seen.values()), sum(n - 1 for n in seen.values()))
P
}

writes() { effects | cut -d' ' -f1; }
effects_once() { [ "$(effects | cut -d' ' -f2)" = 0 ]; }
writes_reach() { [ "$(writes)" -ge "$1" ]; }

count_imports() { # STATE|all
    python3 -c 'import json, sys
data = json.load(sys.stdin)
data = data["data"] if isinstance(data, dict) else data
print(sum(sys.argv[1] in ("all", one["state"]) for one in data))' "$1"
}

verdicts_of() {
    python3 -c 'import collections, json, sys
data = json.load(sys.stdin)
data = data["data"] if isinstance(data, dict) else data
print(", ".join(f"{n} {v}" for v, n in collections.Counter(one["verdict"] for one in data).items()))'
}

all_completed() { [ "$(cli --output json list | count_imports completed)" = "$customers" ]; }

refs_of() { # N: the last few by external_ref
    python3 -c 'import json, sys
data = json.load(sys.stdin)
data = data["data"] if isinstance(data, dict) else data
print(*sorted(one["external_ref"] for one in data)[-int(sys.argv[1]):])' "$1"
}

audit_clean() { # on stdin: the answer of /v1/audit; looked at everything, found nothing
    python3 -c 'import json, sys
found = json.load(sys.stdin)
sys.exit(found["faults"] != [] or found["checked"] < int(sys.argv[1]))' "$customers"
}

kill_container() { # as a crash: the engine is not asked, it must notice
    local pid
    pid=$(podman inspect -f '{{.State.Pid}}' "$1")
    [ "$pid" -gt 1 ] || fail "$1 does not run"
    kill -KILL "$pid"
    wait_for 30 "$1 died" died "$1" "$pid"
}

died() { [ "$(podman inspect -f '{{.State.Pid}}' "$1")" != "$2" ]; }

drain_worker() { # what `docker compose up --scale` does to those that are too many
    net podman stop -t 30 "$(name worker "$1")" >>"$log" 2>&1
    local code
    code=$(podman inspect -f '{{.State.ExitCode}}' "$(name worker "$1")")
    [ "$code" = 0 ] || fail "worker $1 ended with $code instead of draining"
    podman logs "$(name worker "$1")" 2>&1 | grep -q '"drain.done"' || fail "worker $1 did not say that it drained"
    net podman rm "$(name worker "$1")" >>"$log" 2>&1
}
