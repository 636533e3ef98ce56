# The one door for people and for CI: each target does what it needs first; `make` alone lists them.
#
# PYTHON=...  the Python that makes .venv (default: the first of python3.11, python3, ... that is 3.11 or later)
# ARGS='...'  handed on by demo, test (to pytest), bench and faults
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Python keeps what it compiled. Where it may not, every process of hundreds compiles every module that it imports: one
# start of a gateway's proxy then takes 17 s of a core instead of 5.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .clients
READY := $(VENV)/.ready
ARGS ?=
# Asked only where .venv is made. Empty where nothing fits; the recipe says so.
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)

.PHONY: help setup clients browser demo test pytest bench faults alert-faults gateway-load seed-faults services services-down lint screenshots kafka-libs

help:  ## List the targets (what `make` alone does)
	@sed -n 's/^\([a-z][a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z][a-z-]*\):.*  ## \(.*\)/  make \1  \2/p' $(firstword $(MAKEFILE_LIST))

setup: $(READY)  ## Make .venv with everything for development; .venv/bin/jangbu is the command

# The stamp is newer than what it was made from, or the packages are installed again. Every hash is checked; what
# builds the wheel is pinned among them, so that nothing is fetched that is not.
$(READY): requirements/dev.txt requirements/installer.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11 or later found: install one, or name it: make setup PYTHON=..." >&2; exit 3; }
	@test -x $(BIN)/python || { echo "setup: $(PYTHON) ($$($(PYTHON) -V)) makes $(VENV)" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing $$(grep -c '==' requirements/dev.txt) pinned packages into $(VENV) (seconds; a minute where the network is slow)" >&2
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/installer.txt \
		|| echo "setup: no fast installer for this machine" >&2
	@requirements/install.sh $(VENV) requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "setup: done; the command is $(BIN)/jangbu" >&2

# What sends to us in tests: a gateway's proxy and real clients, in an environment of their own.
$(CLIENTS)/ready: requirements/clients.txt | setup
	@test -x $(CLIENTS)/bin/python || $(BIN)/python -m venv $(CLIENTS)
	@echo "clients: installing $$(grep -c '==' requirements/clients.txt) pinned packages into $(CLIENTS)" >&2
	@requirements/install.sh $(CLIENTS) requirements/clients.txt $(BIN)/uv
	@touch $@

clients: $(CLIENTS)/ready

# Without root or a sudo that asks nothing the tests that need it skip and say why, unless skips fail.
browser:  ## Install Chromium for the tests of pages where there is none (Debian's package; says so)
	@tests/browser/chromium.sh || test "$${REQUIRE_SERVICES:-0}" != 1

demo: setup  ## One month of usage, from gateway event to reconciled invoice (about 3 minutes)
	@$(BIN)/jangbu demo $(ARGS)

# Which tests run where; the first session has the rest. Those of the third wait far more than they compute: for Docker,
# for Apache Kafka and PostgreSQL that are killed and come back, for workers that are frozen.
SECOND_SESSION := tests/test_floats.py tests/gateway tests/browser tests/unit tests/scenarios tests/properties \
	$(patsubst %,tests/integration/test_http_%.py,otel openmeter)
THIRD_SESSION := tests/docker tests/faults tests/alert_faults $(patsubst %,tests/integration/test_%.py,streams_kafka \
	services ingest_wait ingest http_through quarantine quota_answers service_scripts supervisor)

test: setup kafka-libs browser  ## Lint, types, import rules and every test; REQUIRE_SERVICES=1: a skip fails
	@$(MAKE) pytest BEFORE_SECOND='lint clients'

# Three sessions side by side, each with services of its own: one alone keeps one core busy and waits on the other.
# BEFORE_SECOND are targets that the second session makes before it begins; its tests run even where one of them fails.
# What the second and the third say comes when the first has ended. Each has temporary directories of its own: pytest
# closes the root of them to others when a session begins, and PostgreSQL runs under another user there. With ARGS there
# is one session.
BEFORE_SECOND ?=
# Under a name of ours: a line with make's own runs even where make is only asked what it would do (make -n).
again := $(MAKE)

pytest: setup
ifneq ($(strip $(ARGS)),)
	@for target in $(BEFORE_SECOND); do $(again) $$target ARGS=; done
	$(BIN)/python -m pytest $(ARGS)
else
	@logs=$$(mktemp -d); trap 'rm -rf "$$logs"' EXIT; \
	session() { PYTEST_DEBUG_TEMPROOT=$$(mktemp -d) $(BIN)/python -m pytest -o cache_dir=.pytest_cache/$$1 \
		--durations=15 --durations-min=5 "$${@:2}"; }; \
	second() { \
		local code=0; for target in $(BEFORE_SECOND); do $(again) $$target || code=$$?; done; \
		session second $(SECOND_SESSION) || code=$$?; return $$code; \
	}; \
	second >"$$logs/second" 2>&1 & pids[2]=$$!; \
	session third $(THIRD_SESSION) >"$$logs/third" 2>&1 & pids[3]=$$!; \
	echo "test: three sessions side by side; $(if $(BEFORE_SECOND),the second begins with make $(BEFORE_SECOND),this is the first)" >&2; \
	code=0; session first $(addprefix --ignore=,$(SECOND_SESSION) $(THIRD_SESSION)) || code=$$?; \
	for name in second third; do \
		ended=0; if [ $$name = second ]; then wait $${pids[2]} || ended=$$?; else wait $${pids[3]} || ended=$$?; fi; \
		echo "test: what the $$name session said; it ended with $$ended"; cat "$$logs/$$name"; \
		code=$$((ended > code ? ended : code)); \
	done; exit $$code
endif

lint: setup  ## ruff, mypy --strict, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Apache Kafka's jars by Maven, once. Without Java or Maven the tests that need it skip and say why, unless skips fail.
kafka-libs: setup
	@$(BIN)/python -c 'from tests.services.apache_kafka import fetch_libs; fetch_libs()' \
		|| test "$${REQUIRE_SERVICES:-0}" != 1

bench: setup kafka-libs  ## Speed, memory and freshness on Apache Kafka and PostgreSQL, as ratios from one run
	$(BIN)/python tests/bench/run.py $(ARGS)

faults: setup kafka-libs  ## Exactly once under hundreds of faults, by seed, on Apache Kafka and PostgreSQL
	$(BIN)/python tests/faults/run.py $(ARGS)

alert-faults: setup  ## Alerts of a month while processes are killed and the mail server misbehaves: ARGS='--seed 1'
	@$(BIN)/python tests/alert_faults/run.py $(ARGS)

seed-faults: setup  ## Reconciliation scored on months with planted faults: ARGS='--seed 1 --months 2040 --shape aws'
	@$(BIN)/python tests/seeded/run.py $(ARGS)

gateway-load: setup kafka-libs clients  ## LiteLLM under load with our callback: latency ratios, and the vendor's bill against the ledger
	$(BIN)/python tests/gateway/load.py $(ARGS)

# Standard output carries the export line and nothing else: eval "$(make services)".
services:  ## Start Apache Kafka and PostgreSQL in the background under .services/; prints the export line
	@$(MAKE) setup >&2
	@$(BIN)/python tests/services/run.py up

services-down: setup  ## Stop what `make services` started; the data stay
	@$(BIN)/python tests/services/run.py down

screenshots: setup browser  ## Run demos and picture them: docs/terminal-*.svg, docs/statement-*.png, docs/example-statement.*, docs/pages
	$(BIN)/python tests/e2e/screenshots.py $(ARGS)
	PYTHONPATH=. $(BIN)/python tests/e2e/page_pictures.py
	PYTHONPATH=. $(BIN)/python tests/e2e/example_statements.py
