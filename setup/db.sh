# shellcheck shell=bash
# Odoo's configuration file, and prepared databases to clone from.
# Source it after lib.sh and pg.sh.

modules() { "$VENV/bin/python" "$ROOT/setup/modules.py" "$@"; }

make_keyring() { with_lock keyring "$VENV/bin/python" "$ROOT/setup/keyring.py" "$KEYRING"; }

# write_conf FILE DATABASE HTTP_PORT GEVENT_PORT WORKERS
write_conf() {
    (umask 077 && cat >"$1") <<CONF
[options]
addons_path = $ROOT/addons
data_dir = $STATE/data
$(pg_settings)
db_name = $2
dbfilter = ^$2\$
list_db = False
admin_passwd = $("$VENV/bin/python" -c 'import secrets; print(secrets.token_hex(16))')
http_interface = 127.0.0.1
http_port = $3
gevent_port = $4
workers = $5
max_cron_threads = 1
server_wide_modules = base,rpc,web,queue_job

[queue_job]
channels = root:2,root.health_out:1

[health_connector]
keyring = $KEYRING
CONF
}

# prepare: everything a database of ours needs before it can be made.
prepare() {
    use_postgres
    install -d -m 700 "$LOGS" "$STATE/data" "$STATE/conf"
    mkdir -p "$FILESTORES"
    make_keyring
}

# Odoo only logs it when a constraint or an index cannot be added.
SCHEMA_ERROR='^[^ ]+ [^ ]+ [0-9]+ ERROR [^ ]+ odoo\.schema'

# install_modules DATABASE MODULES LOG: creates the database when needed.
install_modules() {
    local conf
    conf=$STATE/conf/$1.conf
    write_conf "$conf" "$1" "$(free_ports 1)" 0 0
    "$ROOT/setup/odoo" -c "$conf" -d "$1" -i "$2" --with-demo --stop-after-init \
        --no-http --max-cron-threads=0 --logfile="$3" >"$3.out" 2>&1 || {
        "$VENV/bin/python" "$ROOT/setup/odoo_log.py" "$3" 1 >&2 || true
        die "could not install $2: see $3"
    }
    ! grep -E "$SCHEMA_ERROR" "$3" || die "a constraint could not be added: see $3"
    rm -f "$conf" "$3.out"
}

db_comment() { # of database $1, empty when there is no such database
    psql -qAt -d postgres -v name="$1" <<<"SELECT shobj_description(oid, 'pg_database')
        FROM pg_database WHERE datname = :'name'"
}

db_set_comment() {
    psql -qAt -d postgres -v text="$2" <<<"COMMENT ON DATABASE $1 IS :'text'"
}

# template_of MODULES: the name of a database that holds these modules of Odoo
# and the OCA with demo data, made once and then only cloned.
template_of() {
    local name
    name=health_tpl_$(short_hash "$STATE $(cat "$VENV/stamp-addons") $1")
    with_lock "$name" make_template "$name" template0 "$1" "$1" || return 1
    echo "$name"
}

# template_of_ours: the same with every addon of the project, made anew when
# their sources changed.
template_of_ours() {
    local base name ours
    ours=$(modules ours)
    base=$(template_of "$(modules foreign "$ours")") || return 1
    name=health_all_$(short_hash "$base $(modules fingerprint)")
    with_lock health_all make_template "$name" "$base" "$ours" "all addons" ||
        return 1
    echo "$name"
}

short_hash() { printf %s "$1" | sha256sum | cut -c1-10; }

# make_template NAME FROM MODULES KIND: the earlier one of its kind is dropped.
make_template() {
    local mark="template of $ROOT: $4"
    ! db_exists "$1" || return 0
    say "preparing a database with $3"
    db_drop "$1_new"
    [ "$2" = template0 ] || db_clone "$2" "$1_new" || return 1
    install_modules "$1_new" "$3" "$LOGS/$1.log"
    drop_marked "$mark"
    [ ! -d "$FILESTORES/$1_new" ] || mv "$FILESTORES/$1_new" "$FILESTORES/$1"
    psql -qd postgres -c "ALTER DATABASE ${1}_new RENAME TO $1"
    db_set_comment "$1" "$mark"
}

drop_marked() {
    local name
    while read -r name; do
        [ -z "$name" ] || db_drop "$name"
    done < <(psql -qAt -d postgres -v mark="$1" <<<"SELECT datname FROM pg_database
        WHERE shobj_description(oid, 'pg_database') = :'mark'")
}
