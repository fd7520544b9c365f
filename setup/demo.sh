#!/usr/bin/env bash
# make demo: a running system with every addon, demo data and real traffic.
# HEALTH_HTTP_PORT, HEALTH_GEVENT_PORT, HEALTH_MLLP_PORT and HEALTH_GATEWAY_PORT choose
# the ports, HEALTH_DEMO_DB the database, ODOO an Odoo you have, PG* a database server you have.
source "$(dirname "$0")/lib.sh"
source "$ROOT/setup/pg.sh"
source "$ROOT/setup/db.sh"
source "$ROOT/setup/services.sh"
source "$ROOT/setup/live.sh"

DB=${HEALTH_DEMO_DB:-health_demo}
STACK=$STATE/stack/demo
export HEALTH_HTTP_PORT=${HEALTH_HTTP_PORT:-8069}
export HEALTH_GEVENT_PORT=${HEALTH_GEVENT_PORT:-8072}
export HEALTH_MLLP_PORT=${HEALTH_MLLP_PORT:-2575}
export HEALTH_GATEWAY_PORT=${HEALTH_GATEWAY_PORT:-8079}

running() { service_pid odoo >/dev/null; }

# fresh_database TEMPLATE: made anew when the addons changed since it was made.
# Its comment says who made it: one of somebody else is never dropped.
fresh_database() {
    local mark="made by make demo in $ROOT from" found
    found=$(db_comment "$DB")
    [ "$found" != "$mark $1" ] || return 0
    if db_exists "$DB"; then
        [[ $found == "$mark "* ]] || die "database $DB was not made by this" \
            "checkout: drop it, or choose another name with HEALTH_DEMO_DB=…"
        say "the addons changed: the demo database is made anew"
        "$ROOT/setup/stack" demo down
        db_drop "$DB"
    fi
    db_clone "$1" "$DB"
    db_set_comment "$DB" "$mark $1"
}

# Before anything is built: a taken port is told at once.
check_ports() {
    require_port "$HEALTH_HTTP_PORT" HEALTH_HTTP_PORT
    require_port "$HEALTH_GEVENT_PORT" HEALTH_GEVENT_PORT
    require_port "$HEALTH_MLLP_PORT" HEALTH_MLLP_PORT
    require_port "$HEALTH_GATEWAY_PORT" HEALTH_GATEWAY_PORT
}

closing() {
    cat <<TEXT

Odoo is ready:  $HEALTH_URL
Log in as:      $HEALTH_ADMIN_LOGIN / $HEALTH_ADMIN_PASSWORD
Look at:        Integrations > Operations > Messages: what arrived, and what became of it
                Integrations > Operations > Exceptions: what waits for a person, and why
                Health > Laboratory orders: what the results belong to
Gateway:        MLLP on 127.0.0.1:$HEALTH_MLLP_PORT, HTTP on $HEALTH_GATEWAY_URL
Logs:           $HEALTH_LOG_DIR
End it with:    make stop
TEXT
}

"$ROOT/setup/env.sh"
if running; then say "already running"; else check_ports; fi
prepare
template=$(template_of_ours)
fresh_database "$template"
before=$(service_pid odoo || true)
status=0
if ! running; then say "starting Odoo and the gateway"; fi
"$ROOT/setup/stack" demo up "$DB"
# shellcheck source=/dev/null
source "$STACK/env"
if [ -z "$before" ]; then
    say "sending traffic"
    send_traffic || status=$?
    [ "$status" = 0 ] || say "the traffic did not go through as expected, see above"
fi
say "done"
closing
exit "$status"
