# Odoo Health Connector: every entry point of the project.
#
#   make demo                     a running system with data and traffic
#   make stop                     ends exactly what `make demo` started
#   make test                     every test; ONLY=unit|e2e|… or an addon: a part
#   make test-long                the same, with longer random and chaos runs
#   make bench                    the figures; ONLY=er7_parse: one of them
#   make lint                     ruff, pylint-odoo, shellcheck
#   make env                      builds the environment only
#   make clean                    removes databases, logs and keys of this checkout

.PHONY: help demo stop test test-long bench lint env clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@setup/demo.sh

stop:
	@setup/stop.sh

test:
	@setup/test.sh

test-long:
	@HEALTH_LONG=1 setup/test.sh

bench:
	@setup/bench.sh

lint:
	@setup/lint.sh

env:
	@setup/env.sh --dev

clean: stop
	@setup/clean.sh
