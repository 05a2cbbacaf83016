# One task file. `make` alone lists the targets. Everything made lives in .venv, .local and build.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# The demo leaves the stack running with KEEP=1; `make bench ONLY=sync` runs a part; `make campaign SCENARIOS=1 SEED=7`
# plays one scenario, the same each time.
KEEP ?=
ONLY ?=
SCENARIOS ?= 100
SEED ?=
MINUTES ?= 60

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1
# Many containers set it; each of the hundreds of commands that demo and tests start would compile our modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## make .venv with everything, console script included
	@echo "ready: $(VENV)/bin/lienthong --help"

$(STAMP): requirements.lock pyproject.toml .ci/make-venv
	@.ci/make-venv $(VENV)
	@touch $@

# The stamp alone proves nothing: bin may have been cleaned away, or the Python that it points to uninstalled.
ifeq ($(shell [[ -x $(PYTHON) && -x $(VENV)/bin/lienthong ]] && echo there),)
.PHONY: $(STAMP)
endif

.PHONY: demo
demo: $(STAMP) ## the whole road on real Kafka and PostgreSQL, checked by an oracle (KEEP=1 leaves it running)
	@KEEP="$(KEEP)" $(PYTHON) -m deploy.demo

.PHONY: check
check: $(STAMP) ## the inner loop, under a minute: lint, format, types, import direction, contracts, unit and contract tests
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/lienthong contracts check
	$(PYTHON) -m pytest -q -n auto tests/unit tests/contracts

.PHONY: test
test: check ## check, then the offline tests, then integration and acceptance on the local stack, and the wheel from an empty folder
	$(PYTHON) -m pytest -q -n auto tests/offline
	@$(PYTHON) -m deploy.local fetch
	$(PYTHON) -m pytest -q -n 3 --dist worksteal tests/acceptance tests/integration

.PHONY: test-more
test-more: $(STAMP) ## a first start with nothing kept, the demo, a long crash campaign, fifteen planted faults, a real MariaDB and Prometheus (by apt-get) and Apicurio Registry (158 MB)
	$(PYTHON) -m pytest -n 2 --dist loadfile tests/more

.PHONY: campaign
campaign: $(STAMP) ## random crashes of everything, judged by an oracle; a failure can be played again (SCENARIOS=100 SEED=n)
	@SCENARIOS="$(SCENARIOS)" SEED="$(SEED)" $(PYTHON) -m tests.campaign

.PHONY: soak
soak: $(STAMP) ## calm traffic of 141 systems: no alarm, flat memory, every change answered (MINUTES=60)
	@MINUTES="$(MINUTES)" $(PYTHON) -m tests.soak

.PHONY: bench
bench: $(STAMP) ## speed and memory as ratios to a ceiling of the same run (ONLY=sync runs a part)
	@ONLY="$(ONLY)" $(PYTHON) -m tests.benchmarks

.PHONY: up
up: $(STAMP) ## start the local Kafka, PostgreSQL and (where installed) Prometheus, or find the running ones
	@$(PYTHON) -m deploy.local up

.PHONY: status
status: $(STAMP) ## addresses, process ids and state of the local stack
	@$(PYTHON) -m deploy.local status

.PHONY: down
down: $(STAMP) ## stop the local stack, and a demo that was kept; their data stay in .local
	@if [ -d .local/demo ]; then $(PYTHON) -m deploy.demo --stop; fi
	@$(PYTHON) -m deploy.local down

.PHONY: clean
clean: ## stop the local stack, then remove its data and all build products (.venv stays)
	@if [ -d .local/demo ] && [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.demo --stop; fi
	@if [ -d .local ] && [ -x $(PYTHON) ]; then $(PYTHON) -m deploy.local down; fi
	rm -rf .local build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

.PHONY: lock
lock: $(STAMP) ## refresh requirements.lock, within the bounds of pyproject.toml, and the hashes of the jars
	@.ci/make-lock $(VENV)
	@$(PYTHON) -m deploy.local.jars
	@$(PYTHON) -m tests.benchmarks.debezium
