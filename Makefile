# Two commands do everything: `make run` starts the platform, `make test` tests it. Nothing outside this folder is written.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# Two workers, a file to each; in the order of the names, which ends with many short ones: both come to their ends together.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
PACKAGES := autoscaler router controller events kube cloudbase
# Caches stay inside the clone; `?=` lets a build machine share its own.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export npm_config_cache ?= $(CURDIR)/.cache/npm
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run venv compile test test-fast test-compiled bench loadtest fuzz chaos mutants check lint types imports docs format lock clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The router is compiled meanwhile, out of the way, for the next start: nobody waits for it, and nothing needs it.
run: $(STAMP) ## Start the platform here, with the sample function `hello`
	@nice -n 19 $(BIN)/python -m router.compile --try --once >/dev/null 2>&1 &
	@$(BIN)/cloudbase dev --sample

venv: ## Make .venv afresh with every extra and tool, from locked versions (PYTHON=… names the interpreter)
	@rm -rf $(VENV)
	@$(MAKE) --no-print-directory $(STAMP)

$(STAMP): requirements/lock.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make venv PYTHON=python3.13")'
	@echo "Setting up $(VENV) …" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || rm -rf $(VENV)  # one that was interrupted has no pip
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu, apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@$(BIN)/pip install --quiet -r requirements/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -r requirements/lock.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

compile: $(STAMP) ## Compile the router's hot modules with mypyc (needs a C compiler; never required)
	@$(BIN)/python -m router.compile

test test-fast fuzz chaos mutants: export CLOUDBASE_PLAIN := 1

test: $(STAMP) ## Run the whole local suite (no root, no cluster, under 5 minutes on 2 cores)
	@$(BIN)/pytest -q $(TWO) -m "not cluster"

test-fast: $(STAMP) ## Run the unit tests only
	@$(BIN)/pytest -q tests/unit

test-compiled: compile ## Run the data plane's tests on the compiled router
	@$(BIN)/pytest -q $(TWO) -m "not cluster" tests/unit/router tests/integration/router tests/integration/hostile tests/integration/faults

bench: $(STAMP) ## Compare the router, compiled and plain, with nginx, HAProxy and others (Linux; ARGS="--rounds 9")
	@$(BIN)/python -m loadtest.compare install --needed
	@$${CLOUDBASE_PYTHON:-$(BIN)/python} -m router.compile --try
	@$(BIN)/python -m loadtest.compare run --plain --routes 10000 $(ARGS) -- loadtest/bench-launcher

LOADTEST := .cache/loadtest-venv

loadtest: $(STAMP) ## Play the locust scenarios, a few seconds each (ARGS="warm cold", ARGS="--url http://ROUTER --namespace NAME"; without it, a platform here)
	@test -x $(LOADTEST)/bin/locust || { $(PYTHON) -m venv $(LOADTEST) && $(LOADTEST)/bin/pip install --quiet -r loadtest/scenarios/requirements.txt; }
	@$(BIN)/python -m loadtest.scenarios --short $(ARGS)

FUZZ := .cache/fuzz-venv
TIME ?= 600

fuzz: $(STAMP) ## Fuzz the data plane for TIME seconds (600); findings stay in .cache/fuzz
	@test -x $(FUZZ)/bin/python || $(BIN)/python -m venv $(FUZZ)
	@$(FUZZ)/bin/pip install --quiet h11 hypothesis
	@$(FUZZ)/bin/pip install --quiet --only-binary=:all: atheris || echo "atheris has no wheel for this machine: Hypothesis mutates instead"
	@$(FUZZ)/bin/python -m tests.fuzz $(TIME) .cache/fuzz

chaos: $(STAMP) ## Let clients, functions and the network do anything for TIME seconds (600); a failure is told step by step (ARGS=SEED)
	@$(BIN)/python -m tests.chaos $(TIME) $(ARGS)

mutants: $(STAMP) ## Plant known defects in copies of the tree, one at a time: a test must catch each (ARGS="gate.py" for some)
	@$(BIN)/python -m tests.mutants $(ARGS)

check: lint types imports docs ## Lint, types, import directions, docs

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .

types: $(STAMP)
	@$(BIN)/mypy --no-error-summary

imports: $(STAMP)
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

docs: $(STAMP)
	@$(BIN)/python -m tests.docs

format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

lock: $(STAMP) ## Solve requirements/lock.txt anew from pyproject.toml, and of it what the image holds
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --group tools --no-annotate --no-header pyproject.toml -o requirements/lock.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra controller --extra redis --no-annotate --no-header --constraints requirements/lock.txt pyproject.toml -o requirements/image.txt

clean: ## Delete what the targets above made
	@rm -rf $(VENV) router/_compiled .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
