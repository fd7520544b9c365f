#!/usr/bin/env bash
# make clean: removes this checkout's databases, logs and key ring. The shared
# environment in the cache stays; remove HEALTH_CACHE by hand to get rid of it.
source "$(dirname "$0")/lib.sh"
source "$ROOT/setup/pg.sh"

pg_is_private || die "the databases lie on a server of yours: drop health_* there"
! pg_running || die "still running: make stop first"
say "removing $STATE"
rm -rf "${STATE:?}"
