#!/usr/bin/env bash
# The project's database server: setup/postgres.sh start|stop|restart|kill|crash|status|env
# `env` prints what a shell needs to use it: eval "$(setup/postgres.sh env)"
# `restart`, `kill` (SIGKILL, then start) and `crash` (stopped at once, as by a power
# cut, until the next start) are for the tests of durability.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/pg.sh"

only_private() {
    pg_is_private || die "the PG* variables name a server of yours: it is not mine to $1"
}

case ${1:-status} in
start) use_postgres ;;
stop) only_private stop && pg_stop ;;
restart) only_private restart && pg_stop && use_postgres ;;
kill)
    only_private kill
    pg_running && kill -KILL "$(head -n 1 "$PG/data/postmaster.pid")"
    while pg_running; do sleep 0.1; done
    use_postgres
    ;;
crash) only_private crash && pg_ctl -m immediate -w stop ;;
status) pg_running && echo "running: $PG" || echo "not running" ;;
env)
    use_postgres
    for name in PGHOST PGPORT PGUSER; do
        [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
    done
    ;;
*) die "usage: setup/postgres.sh start|stop|restart|kill|crash|status|env" ;;
esac
