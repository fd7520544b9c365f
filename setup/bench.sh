#!/usr/bin/env bash
# make bench: the figures. Every script of tests/bench prints lines
#     name value unit bar pass|short
# ONLY=name runs one script. Ends with 0 only when no figure falls short. A full
# run hands its lines to tests/bench/report.py, which keeps docs/benchmarks.rst.
#   --smoke   (make test ONLY=bench-smoke) each script briefly, only to see it run
source "$(dirname "$0")/lib.sh"
source "$ROOT/setup/pg.sh"
source "$ROOT/setup/db.sh"
source "$ROOT/setup/live.sh"

NAME=bench-$$
RESULTS=$LOGS/$NAME.txt
status=0
[ "${1:-}" != --smoke ] || {
    export HEALTH_BENCH_SMOKE=1
    ONLY=
}

scripts() {
    local file
    for file in "$ROOT/tests/bench"/${ONLY:-*}.py; do
        case $(basename "$file") in report.py | _* | conftest.py) continue ;; esac
        [ ! -f "$file" ] || echo "$file"
    done
}

run_script() {
    local lines
    say "$(basename "$1" .py)"
    lines=$("$VENV/bin/python" "$1") || {
        say "$1 ended with an error"
        status=1
    }
    [ -z "$lines" ] || echo "$lines" | tee -a "$RESULTS"
}

"$ROOT/setup/env.sh" --dev
prepare
require_packages wrk=wrk
mapfile -t files < <(scripts)
[ ${#files[@]} -gt 0 ] || die "tests/bench has no figure named ${ONLY:-…}"
: >"$RESULTS"
trap stop_live EXIT
# A script that reads HEALTH_… variables wants a running system.
! grep -lq HEALTH_ "${files[@]}" || start_live
for file in "${files[@]}"; do run_script "$file"; done
if [ -z "${ONLY:-}${HEALTH_BENCH_SMOKE:-}" ] && [ -f "$ROOT/tests/bench/report.py" ]; then
    "$VENV/bin/python" "$ROOT/tests/bench/report.py" "$RESULTS"
fi
# Brief runs say nothing about speed: only an error counts there.
[ -n "${HEALTH_BENCH_SMOKE:-}" ] || ! grep -q ' short$' "$RESULTS" || status=1
exit "$status"
