# The two commands are `make demo` and `make test`; `make help` lists the others.
# Every path is relative to this file: the checkout may live under a name with spaces.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?=
PYTEST_ARGS ?=
# A third of the time a test waits for processes that it started: three share two cores.
WORKERS ?= $(shell expr $$(nproc) + 1)
BASE ?= HEAD~1
# A fresh clone is really fresh: environments for gates and candidates are kept inside it.
export SHIPWAY_CACHE ?= $(CURDIR)/.cache/shipway
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What a user has set for other projects must not lead ours astray.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX

PIP := .venv/bin/python -m pip -qq --no-input install --only-binary=:all: --require-hashes

.PHONY: help test demo check calibrate documents lint format map bench chaos fuzz lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

# An environment whose Python has gone is built again.
$(shell test -x .venv/bin/python || rm -rf .venv/.python)

.venv/.python:
	@python=$$(sh requirements/choose-python "$(PYTHON)") && { test -x .venv/bin/python || rm -rf .venv; } && \
	echo "shipway: building .venv with $$("$$python" --version)" && "$$python" -m venv .venv && touch $@

.venv/.runtime: .venv/.python requirements/runtime.txt requirements/connect.py
	@echo "shipway: installing what Shipway needs to run"
	@$(PIP) -r requirements/runtime.txt
	@.venv/bin/python requirements/connect.py && touch $@

.venv/.dev: .venv/.runtime requirements/fleet.txt requirements/ai.txt requirements/dev.txt
	@echo "shipway: installing what its tests need"
	@$(PIP) -r requirements/fleet.txt -r requirements/ai.txt -r requirements/dev.txt
	@touch $@

test: .venv/.dev ## house rules and all tests
	@.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

documents: .venv/.dev ## three more documents deployed, each judged from outside
	@.venv/bin/python -m pytest -m documents tests/whole $(PYTEST_ARGS)

demo: .venv/.runtime ## from an OpenAPI document to a deployed service, live (KEEP=1 leaves it running)
	@.venv/bin/python examples/demo.py

check: .venv/.dev ## the last commit (or BASE=REV to HEAD) before Shipway's own gates
	@.venv/bin/shipway check HEAD --base "$(BASE)" \
	  || { test $$? -eq 3 && echo "shipway: nothing is wrong that a gate can tell; a person decides the above"; }

calibrate: .venv/.dev ## measure the gates on a corpus grown here; goes on where it was (CASES="a b", JOBS=n)
	@.venv/bin/python tests/calibration/grow.py .cache/corpus >/dev/null
	@.venv/bin/shipway calibrate .cache/corpus $(foreach case,$(CASES),--case "$(case)") $(if $(JOBS),--jobs "$(JOBS)")

lint: .venv/.dev ## style, types and floors only
	@.venv/bin/python -m ruff check
	@.venv/bin/python -m mypy
	@.venv/bin/lint-imports

format: .venv/.dev ## put code into the house's layout
	@.venv/bin/python -m ruff format

map: .venv/.dev ## write the map in docs/ARCHITECTURE.md and the catalogue of errors again
	@.venv/bin/python tests/house/house_map.py
	@PYTHONPATH=src .venv/bin/python tests/house/house_catalogue.py

bench: .venv/.dev ## time from requirement to deployed, the heart alone, beside many runs, and guarded calls
	@.venv/bin/python bench/river.py
	@.venv/bin/python bench/heart.py
	@.venv/bin/python bench/gates.py
	@.venv/bin/python bench/service.py
	@.venv/bin/python bench/readiness.py
	@.venv/bin/python bench/overload.py
	@.venv/bin/python bench/many.py
	@.venv/bin/python bench/guard.py
	@.venv/bin/python bench/rest.py
	@.venv/bin/python bench/flags.py
	@.venv/bin/python bench/fleet.py
	@.venv/bin/python bench/shared.py

fuzz: .venv/.dev ## schemathesis over every route of the API, ten thousand cases
	@PYTHONPATH=src:tests .venv/bin/python tests/service/fuzz.py 10000

chaos: .venv/.dev ## 200 kills (N= for more) and every other fault, as a table; 1,000 trips of a breaker; ten restarts under load
	@mkdir -p .cache
	@.venv/bin/python tests/fleet/chaos.py --json .cache/chaos.json $(if $(N),--kills "$(N)")
	@PYTHONPATH=src:tests .venv/bin/python tests/resilience/crowd.py 1000
	@PYTHONPATH=src:tests .venv/bin/python tests/service/restarts.py 10 100000

lock: ## resolve and pin every dependency again
	@python=$$(sh requirements/choose-python "$(PYTHON)") && rm -rf .cache/lock && "$$python" -m venv .cache/lock
	@.cache/lock/bin/python -m pip -qq --no-input install --only-binary=:all: uv
	@sh requirements/lock .cache/lock/bin/uv $(LOCK_ARGS)

clean: ## remove what make built
	@rm -rf .venv .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
