# shellcheck shell=bash
# A running system for tests and figures, on a database of its own, gone
# afterwards; and the traffic of the demo. Source it after db.sh; set NAME first.

live_db() { echo "health_${NAME//-/_}"; }

# start_live: afterwards the HEALTH_… variables say where the system is.
start_live() {
    local template
    # those of the demo
    unset HEALTH_HTTP_PORT HEALTH_GEVENT_PORT HEALTH_MLLP_PORT HEALTH_GATEWAY_PORT
    template=$(template_of_ours) &&
        db_clone "$template" "$(live_db)" &&
        "$ROOT/setup/stack" "$NAME" up "$(live_db)" || return 1
    # shellcheck source=/dev/null
    source "$STATE/stack/$NAME/env"
    HEALTH_CHROMIUM=$(command -v chromium)
    export HEALTH_CHROMIUM
}

stop_live() {
    [ -d "$STATE/stack/$NAME" ] || return 0
    [ -z "${KEEP:-}" ] || {
        say "kept: setup/stack $NAME (see $STATE/stack/$NAME/env)"
        return 0
    }
    "$ROOT/setup/stack" "$NAME" down
    db_drop "$(live_db)"
    rm -rf "${STATE:?}/stack/$NAME"
}

# send_traffic: real messages of a real partner, to the system of HEALTH_….
send_traffic() {
    local script=$ROOT/tests/e2e/demo_traffic.py
    [ ! -f "$script" ] || "$VENV/bin/python" "$script"
}
