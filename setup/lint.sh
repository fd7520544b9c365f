#!/usr/bin/env bash
# The lint of .pre-commit-config.yaml over every tracked file.
source "$(dirname "$0")/lib.sh"
"$ROOT/setup/env.sh" --dev
cd "$ROOT"
PRE_COMMIT_HOME=$CACHE/pre-commit exec "$VENV/bin/python" -m pre_commit run --all-files
