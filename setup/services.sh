# shellcheck shell=bash
# Long-running processes of a stack: start, find again, stop. A process is known
# by its pid and its start time, so that a reused pid is never mistaken for it.
# Source it after lib.sh; STACK is the folder of the stack's pid files.

started_at() { # of pid $1, in clock ticks since boot; empty when it is gone
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}

# service_pid NAME: prints the pid and succeeds while the process runs.
service_pid() {
    local pid ticks
    read -r pid ticks 2>/dev/null <"$STACK/$1.pid" || return 1
    [ -n "$ticks" ] && [ "$(started_at "$pid")" = "$ticks" ] && echo "$pid"
}

# service_start NAME LOG COMMAND…: in a process group of its own.
service_start() {
    local name=$1 log=$2 pid
    shift 2
    setsid "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid $(started_at "$pid")" >"$STACK/$name.pid"
}

# service_stop NAME: asks, waits 20 s, then ends what is left of the group.
service_stop() {
    local pid i
    if pid=$(service_pid "$1"); then
        kill -TERM "$pid"
        for ((i = 0; i < 200; i++)); do
            service_pid "$1" >/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$STACK/$1.pid"
}

# service_kill NAME: SIGKILL to the process and its children at once.
service_kill() {
    local pid
    pid=$(service_pid "$1") || return 0
    kill -KILL -- "-$pid"
    while service_pid "$1" >/dev/null; do sleep 0.05; done
}

port_is_free() {
    "$VENV/bin/python" - "$1" <<'PYTHON'
import socket, sys
probe = socket.socket()
probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    probe.bind(("127.0.0.1", int(sys.argv[1])))
except OSError:
    sys.exit(1)
PYTHON
}

# require_port PORT VARIABLE
require_port() {
    port_is_free "$1" || die "port $1 is taken by another program: stop that," \
        "or choose another port with $2=…"
}

# wait_ready NAME SECONDS LOG COMMAND…: until the command succeeds.
wait_ready() {
    local name=$1 seconds=$2 log=$3 i
    shift 3
    for ((i = 0; i < seconds * 5; i++)); do
        service_pid "$name" >/dev/null || die "$name ended at once: see $log"
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.2
    done
    die "$name did not answer within $seconds seconds: see $log"
}

http_answers() {
    "$VENV/bin/python" -c 'import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=2)' "$1"
}

port_answers() {
    "$VENV/bin/python" -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).close()' "$1"
}
