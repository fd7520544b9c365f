#!/usr/bin/env bash
# make test: every test of the project. ONLY=… runs a part: lint, unit, odoo, an
# addon's name, e2e, security, browser, chaos or bench-smoke. KEEP=1 leaves the
# running system of the tests up. HEALTH_LONG=1 makes random and chaos runs longer.
source "$(dirname "$0")/lib.sh"
source "$ROOT/setup/pg.sh"
source "$ROOT/setup/db.sh"
source "$ROOT/setup/live.sh"

ONLY=${ONLY:-}
NAME=test-$$
LIVE=(e2e security browser chaos) # folders of tests/ that need a running system
RESULTS=$LOGS/$NAME
failed_steps=()

wanted() { [ -z "$ONLY" ] || [ "$ONLY" = "$1" ]; }

has_tests() { compgen -G "$ROOT/tests/$1/test_*.py" >/dev/null; }

# step NAME COMMAND…: a failed step is noted, the others still run.
step() {
    local name=$1
    shift
    say "== $name"
    "$@" || {
        failed_steps+=("$name")
        say "== $name FAILED"
    }
}

# run_check NAME COMMAND…: a command that counts as one test.
run_check() {
    local name=$1 passed=1
    shift
    "$@" || passed=0
    echo "$passed $((1 - passed)) 0" >"$RESULTS/$name.counts"
    [ "$passed" = 1 ]
}

run_pytest() { # FOLDER: a skipped browser test is a failure
    local report=$RESULTS/$1.xml
    (cd "$ROOT" && timeout 1500 "$VENV/bin/python" -m pytest -q "tests/$1" \
        --junitxml="$report") || return 1
    [ "$1" != browser ] || ! grep -q '<skipped' "$report" ||
        { say "a browser test was skipped" && return 1; }
}

run_odoo() { HEALTH_COUNTS=$RESULTS/$1.counts "$ROOT/setup/test-addon" "$1"; }

no_schema_errors() {
    ! grep -E "$SCHEMA_ERROR" "$HEALTH_LOG_DIR"/*.log
}

live_wanted() {
    local folder
    for folder in "${LIVE[@]}"; do
        if wanted "$folder" && has_tests "$folder"; then return 0; fi
    done
    return 1
}

run_live() {
    local folder
    step "running system" start_live
    [ -f "${HEALTH_CONF:-}" ] || return 0
    step "traffic of the demo" send_traffic
    for folder in "${LIVE[@]}"; do
        if wanted "$folder" && has_tests "$folder"; then
            step "$folder" run_pytest "$folder"
        fi
    done
    step "odoo.schema errors" no_schema_errors
}

check_only() {
    case $ONLY in
    "" | lint | unit | odoo | e2e | security | browser | chaos | bench-smoke) ;;
    *) [ -f "$ROOT/addons/$ONLY/__manifest__.py" ] ||
        die "ONLY=$ONLY is no part of the tests: lint, unit, odoo, e2e, security," \
            "browser, chaos, bench-smoke, or a folder of addons/" ;;
    esac
}

summary() {
    local corpus=absent
    [ ! -d "$ROOT/../shared/data" ] || corpus=present
    say "larger corpus (../shared/data): $corpus"
    say "logs and reports: $RESULTS"
    [ ${#failed_steps[@]} -eq 0 ] || say "failed: ${failed_steps[*]}"
    "$VENV/bin/python" "$ROOT/setup/summary.py" "$RESULTS" "${#failed_steps[@]}"
}

check_only
"$ROOT/setup/env.sh" --dev
prepare
mkdir -p "$RESULTS"
trap stop_live EXIT
! wanted lint || step lint run_check lint "$ROOT/setup/lint.sh"
! wanted unit || step unit run_pytest unit
! wanted odoo || step odoo run_odoo "$(modules ours)"
[ ! -d "$ROOT/addons/${ONLY:-.}/tests" ] || step "$ONLY" run_odoo "$ONLY"
! live_wanted || run_live
stop_live
if wanted bench-smoke && compgen -G "$ROOT/tests/bench/*.py" >/dev/null; then
    step bench-smoke run_check bench-smoke "$ROOT/setup/bench.sh" --smoke
fi
summary
