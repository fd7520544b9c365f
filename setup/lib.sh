# shellcheck shell=bash
# Shared by the scripts of setup/: folders, messages and small checks.
# Source it; it starts nothing.
# shellcheck disable=SC2034  # what it sets is used by the scripts that source it
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${HEALTH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/odoo-health-connector}

# Running state (sockets, pids, logs, key ring, databases) is one folder per
# checkout, so that two clones never stop each other. As root it lies where the
# postgres user may enter, which root's home is not.
default_state() {
    local base=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}
    [ "$(id -u)" != 0 ] || base=/var/lib
    printf '%s/odoo-health-connector/%s\n' "$base" \
        "$(printf %s "$ROOT" | sha256sum | cut -c1-8)"
}
STATE=${HEALTH_STATE:-$(default_state)}

# The virtual environment belongs to one Odoo: another ODOO= gets another one.
VENV=$CACHE/venv-$(printf %s "${ODOO:-debian}" | sha256sum | cut -c1-8)
KEYRING=${HEALTH_KEYRING:-$STATE/keyring.json}
LOGS=$STATE/log

export HEALTH_CACHE=$CACHE HEALTH_STATE=$STATE HEALTH_KEYRING=$KEYRING

# Progress, with the seconds since the first script of this run began.
export HEALTH_T0=${HEALTH_T0:-$EPOCHSECONDS}
say() { printf '[%4ds] %s\n' "$((EPOCHSECONDS - HEALTH_T0))" "$*" >&2; }

# One line that says what to do, and a non-zero exit.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# require_space FOLDER MEGABYTES: the folder need not exist yet.
require_space() {
    local folder=$1 free
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    free=$(df -Pm "$folder" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$2" ] ||
        die "disk full: $1 needs $2 MB free and has $free MB; free some space" \
            "or point HEALTH_CACHE and HEALTH_STATE to another disk"
}

# require_packages PROGRAM=PACKAGE…: installs the packages of missing programs.
require_packages() {
    local pair missing=()
    for pair; do have "${pair%%=*}" || missing+=("${pair#*=}"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "missing ${missing[*]} and no apt-get here:" \
        "install ${missing[*]} with your system's package manager"
    [ "$(id -u)" = 0 ] || die "missing ${missing[*]}: run" \
        "'apt-get install ${missing[*]}' as root, then again"
    say "installing ${missing[*]}"
    apt_install "${missing[@]}"
}

apt_install() {
    local log=$CACHE/apt.log
    mkdir -p "$CACHE"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1 ||
        die "apt-get could not install $*: see $log"
}

# with_lock NAME COMMAND…: one at a time across processes of this machine.
# The lock is not inherited, so a server started under it does not hold it.
with_lock() {
    local name=$1
    shift
    mkdir -p "$CACHE"
    {
        flock 9
        "$@" 9>&-
    } 9>"$CACHE/$name.lock"
}

# free_ports COUNT: different TCP ports nobody listens on at this moment, below
# those the system hands out to outgoing connections.
free_ports() {
    "$VENV/bin/python" - "$1" <<'PYTHON'
import random, socket, sys
probes, count = [], int(sys.argv[1])
for port in random.sample(range(20000, 32000), 200):
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        continue
    probes.append(probe)
    if len(probes) == count:
        break
print(*(probe.getsockname()[1] for probe in probes))
PYTHON
}
