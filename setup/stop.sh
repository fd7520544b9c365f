#!/usr/bin/env bash
# make stop: ends what `make demo` and `make test` of this checkout started.
source "$(dirname "$0")/lib.sh"
source "$ROOT/setup/pg.sh"

for folder in "$STATE"/stack/*/; do
    [ -d "$folder" ] || continue
    say "stopping $(basename "$folder")"
    "$ROOT/setup/stack" "$(basename "$folder")" down
done
if pg_is_private && pg_running; then
    say "stopping PostgreSQL"
    pg_stop
fi
