# shellcheck shell=bash
# The database server: a private cluster on a Unix socket, or the one that the
# usual PG* variables name. Source it after lib.sh.

PG=$STATE/pg # the cluster, its socket and its log; entered by its owner only

pg_is_private() {
    [ -z "${PGSERVICE:-}${PGHOSTADDR:-}" ] || return 1
    [ "${PGHOST:-$PG}" = "$PG" ] || return 1
    [ -n "${PGHOST:-}" ] || [ -z "${PGPORT:-}" ]
}

# PostgreSQL refuses to run as root, so root runs it as the postgres user.
pg_as_owner() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

pg_bindir() {
    local folder
    folder=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -x "$folder/initdb" ] || folder=$(pg_config --bindir 2>/dev/null || true)
    [ -x "$folder/initdb" ] && echo "$folder"
}

pg_ctl() { pg_as_owner "$(pg_bindir)/pg_ctl" -D "$PG/data" -s "$@"; }

pg_running() { [ -d "$PG/data" ] && pg_ctl status >/dev/null 2>&1; }

pg_init() {
    say "creating the PostgreSQL cluster"
    require_space "$STATE" 1000
    if [ "$(id -u)" = 0 ]; then
        install -d -m 700 -o postgres "$PG"
    else
        install -d -m 700 "$PG"
    fi
    pg_as_owner test -w "$PG" || die "the postgres user cannot enter $STATE:" \
        "set HEALTH_STATE to a folder that others may traverse"
    pg_as_owner "$(pg_bindir)/initdb" -D "$PG/data" -U postgres -A trust -E UTF8 \
        --locale=C.UTF-8 >"$LOGS/initdb.log" 2>&1 || die "initdb failed: see $LOGS/initdb.log"
    # Durability stays on (fsync, synchronous_commit): tests prove it. Trust is
    # limited to who may enter the folder of the socket.
    pg_as_owner tee -a "$PG/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$PG'
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
CONF
}

pg_start() {
    local path=$PG/.s.PGSQL.5432
    [ ${#path} -le 100 ] || die "the path of the PostgreSQL socket is too long" \
        "($path): set HEALTH_STATE to a shorter folder"
    pg_bindir >/dev/null || require_packages no-initdb=postgresql
    install -d -m 711 "$STATE" && install -d -m 700 "$LOGS"
    [ -f "$PG/data/PG_VERSION" ] || pg_init
    pg_running || pg_ctl -w -t 60 -l "$PG/postgres.log" start ||
        die "PostgreSQL does not start: see $PG/postgres.log"
    psql -qAt -d postgres -U postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'health'" |
        grep -q 1 || createuser -U postgres --createdb health
}

pg_stop() { ! pg_running || pg_ctl -m fast -w stop; }

# use_postgres: a server is up and the PG* variables name it.
use_postgres() {
    local version
    require_packages psql=postgresql-client
    if pg_is_private; then
        export PGHOST=$PG PGUSER=${PGUSER:-health}
        with_lock "pg-$(basename "$STATE")" pg_start
    fi
    version=$(psql -qAt -d postgres -c 'SHOW server_version_num') ||
        die "cannot reach PostgreSQL at ${PGHOST:-${PGSERVICE:-the PG* variables}}:" \
            "correct the PG* variables, or unset them to get a private server"
    [ "$version" -ge 130000 ] || die "PostgreSQL 13 or newer is needed, found" \
        "$version: name another server with PGHOST"
    [ "$(psql -qAt -d postgres -c 'SELECT current_user')" != postgres ] ||
        die "Odoo refuses the database user postgres: create a role with" \
            "CREATEDB and name it with PGUSER"
}

# pg_settings: the lines of an Odoo configuration that name this server.
pg_settings() {
    [ -z "${PGHOST:-}" ] || echo "db_host = $PGHOST"
    [ -z "${PGPORT:-}" ] || echo "db_port = $PGPORT"
    [ -z "${PGUSER:-}" ] || echo "db_user = $PGUSER"
}

db_exists() {
    [ "$(psql -qAt -d postgres -v name="$1" \
        <<<"SELECT count(*) FROM pg_database WHERE datname = :'name'")" = 1 ]
}

FILESTORES=$STATE/data/filestore

# db_clone FROM TO: the database and its files, which are never changed in place
# and so may be linked.
db_clone() {
    createdb -T "$1" "$2"
    rm -rf "${FILESTORES:?}/$2"
    [ ! -d "$FILESTORES/$1" ] || cp -al "$FILESTORES/$1" "$FILESTORES/$2"
}

db_drop() {
    local try answer=''
    # refused while the server's own autovacuum works in it: that ends by itself
    for ((try = 0; try < 40; try++)); do
        answer=$(dropdb --if-exists --force "$1" 2>&1) && break
        sleep 0.25
    done
    [ -z "$answer" ] || grep -v 'does not exist' <<<"$answer" >&2 || true
    rm -rf "${FILESTORES:?}/$1"
}
