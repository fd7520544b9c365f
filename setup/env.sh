#!/usr/bin/env bash
# Builds what the project runs on, in the cache: Odoo 19, a virtual environment
# and, where they are missing, PostgreSQL and the test tools. Run it as often as
# you like: what is there is left alone.
#
#   setup/env.sh          what the demo needs
#   setup/env.sh --dev    also what the tests need (Chromium, ShellCheck, pytest …)
#
# ODOO=…          an Odoo 19 you have: its script, or a source checkout
# HEALTH_PYTHON=… the Python to use (3.10 to 3.13)
# HEALTH_CACHE=…  where the environment is kept
source "$(dirname "$0")/lib.sh"

with_dev=${1:-}
ODOO_PREFIX=$CACHE/odoo
# Architecture-all packages whose files Odoo's assets link to.
ASSETS=(libjs-jquery libjs-jquery-form libjs-underscore fonts-roboto-unhinted
    fonts-montserrat fonts-inconsolata fonts-ocr-b)

find_python() {
    local name version=none
    for name in ${HEALTH_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        have "$name" || continue
        version=$("$name" -c 'import sys; print("%d %d" % sys.version_info[:2])')
        case $version in "3 10" | "3 11" | "3 12" | "3 13")
            command -v "$name"
            return
            ;;
        esac
        [ -z "${HEALTH_PYTHON:-}" ] || break
    done
    die "Odoo 19 needs Python 3.10 to 3.13, found ${version/ /.}: install one and" \
        "name it with HEALTH_PYTHON=/path/to/python3"
}

# The archive this machine installs from, read from apt: no host is named here.
archive_site() {
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016  # apt expands these
    apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        awk -v release="$codename" '$2 == release {print $1; exit}'
}

# Odoo 19 is packaged in Debian unstable only, for unstable's Python: so it is
# unpacked into the cache, with a private package list, never installed.
download_odoo() {
    local lists=$1/lists site
    site=$(archive_site)
    [ -n "$site" ] || die "apt knows no archive of this Debian release: check" \
        "/etc/apt/sources.list, or name an Odoo 19 you have with ODOO="
    mkdir -p "$lists/partial"
    printf 'deb [signed-by=%s] %s sid main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$site" >"$1/sources.list"
    local unstable=(-q -o "Dir::Etc::sourcelist=$1/sources.list"
        -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o APT::Sandbox::User=root)
    cd "$1"
    apt-get "${unstable[@]}" update
    apt-get "${unstable[@]}" download odoo-19 "${ASSETS[@]}"
    # Font Awesome of the stable release: unstable's 7.x lacks the 4.7 names.
    apt-get -q -o APT::Sandbox::User=root download fonts-font-awesome
}

unpack_odoo() {
    local work=$CACHE/odoo.new deb
    { have apt-get && have dpkg; } || die "no apt here, so Odoo 19 cannot be" \
        "fetched: name one you have with ODOO=/path/to/odoo (script or checkout)"
    say "fetching Odoo 19 (123 MB)"
    rm -rf "$work" && mkdir -p "$work/deb"
    # An empty package list of the machine itself: fonts-font-awesome needs it.
    if ! apt-cache show fonts-font-awesome >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        apt-get update -q >"$CACHE/apt.log" 2>&1 || true
    fi
    (download_odoo "$work/deb") >"$CACHE/download.log" 2>&1 ||
        die "could not download Odoo 19: see $CACHE/download.log"
    say "unpacking Odoo 19 (1.2 GB)"
    for deb in "$work"/deb/*.deb; do dpkg -x "$deb" "$work"; done
    rm -rf "$work/deb" "$ODOO_PREFIX"
    mv "$work" "$ODOO_PREFIX"
}

# One script that Odoo's pages load is not free enough for Debian, and a missing
# one is an error on every page. It blurs the background of video calls.
complete_odoo() {
    local script=$1/odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js
    [ ! -e "$script" ] || return 0
    mkdir -p "$(dirname "$script")"
    echo '// Left out of the Debian package.' >"$script"
}

# odoo_home: the folder to import `odoo` from.
odoo_home() {
    local script packages
    if [ -z "${ODOO:-}" ]; then
        packages=$ODOO_PREFIX/usr/lib/python3/dist-packages
        [ -d "$packages/odoo" ] || unpack_odoo
        complete_odoo "$packages"
        echo "$packages"
    elif [ -d "$ODOO" ]; then
        (cd "$ODOO" && pwd -P)
    else
        script=$(command -v "$ODOO") || die "ODOO=$ODOO: no such script or folder"
        home_of_script "$script"
    fi
}

home_of_script() {
    local folder interpreter
    folder=$(dirname "$(readlink -f "$1")")
    if [ -d "$folder/odoo" ]; then
        echo "$folder"
        return
    fi
    interpreter=$(sed -n '1s/^#![[:space:]]*//p' "$1")
    # shellcheck disable=SC2086  # "/usr/bin/env python3" is two words
    ${interpreter:-false} -c 'import odoo.release as r, pathlib
print(pathlib.Path(r.__file__).parent.parent)' 2>/dev/null ||
        die "ODOO=$1: its Python ($interpreter) cannot import odoo; name the" \
            "source checkout instead"
}

check_odoo_version() {
    local version
    version=$("$1" - "$2" <<'PYTHON'
import pathlib, re, sys
path = pathlib.Path(sys.argv[1], "odoo", "release.py")
text = path.read_text() if path.is_file() else ""
found = re.search(r"version_info\s*=\s*\((\d+),\s*(\d+)", text)
print(".".join(found.groups()) if found else "none")
PYTHON
    )
    [ "$version" = 19.0 ] || die "this project needs Odoo 19.0, found $version in" \
        "$2: set ODOO= to an Odoo 19 script or checkout, or unset it"
}

make_venv() {
    local python=$1
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        have apt-get || die "$python has no venv module: install python3-venv"
        require_packages "no-venv=$(basename "$(readlink -f "$python")")-venv"
    }
    say "creating the virtual environment ($("$python" -V))"
    "$python" -m venv "$VENV" || die "$python -m venv failed"
}

pip_install() {
    "$VENV/bin/pip" install -q --no-input "$@" >"$CACHE/pip.log" 2>&1 ||
        die "pip could not install the requirements: see $CACHE/pip.log"
}

# A script file named odoo: the prefork server re-executes its own argv[0], so
# `python -m odoo` would make it respawn a broken child for ever.
write_odoo_script() {
    cat >"$VENV/bin/odoo" <<SCRIPT
#!$VENV/bin/python
import odoo.cli

if __name__ == "__main__":
    odoo.cli.main()
SCRIPT
    chmod +x "$VENV/bin/odoo"
}

# fill_venv PYTHON HOME FILES…: skipped when the stamp says it was done.
fill_venv() {
    local python=$1 home=$2 stamp=$VENV/stamp$with_dev wanted
    local addons=$ROOT/requirements-addons.txt
    shift 2
    wanted="$home $(cat "$@" "$addons" "$ROOT/setup/env.sh" | sha256sum)"
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    [ -x "$VENV/bin/python" ] || make_venv "$python"
    say "installing Python packages"
    pip_install "${@/#/-r}"
    # Its wheel asks pip for `odoo`, which a source checkout does not offer.
    pip_install --no-deps -r "$addons"
    echo "$home" >"$(echo "$VENV"/lib/python3.*/site-packages)/odoo-home.pth"
    write_odoo_script
    "$VENV/bin/odoo" --version >"$CACHE/pip.log" 2>&1 ||
        die "Odoo does not start: see $CACHE/pip.log"
    # What a prepared database depends on, see setup/db.sh.
    cat "$home/odoo/release.py" "$addons" >"$VENV/stamp-addons"
    echo "$wanted" >"$stamp"
}

build() {
    local python home files=("$ROOT/requirements.txt" "$ROOT/requirements-odoo.txt")
    mkdir -p "$CACHE"
    python=$(find_python)
    [ -d "$ODOO_PREFIX/usr" ] || [ -n "${ODOO:-}" ] || require_space "$CACHE" 3500
    home=$(odoo_home)
    check_odoo_version "$python" "$home"
    [ -z "$with_dev" ] || files+=("$ROOT/requirements-dev.txt")
    fill_venv "$python" "$home" "${files[@]}"
}

build_all() {
    [ -z "$with_dev" ] ||
        require_packages chromium=chromium shellcheck=shellcheck
    build
}
with_lock env build_all
