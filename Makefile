# Everything here works from nothing but Python 3.11 and make. `make sandbox` and `make test` are all you need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two cores: the suite starts real servers, so more workers than cores only wait for each other.
WORKERS ?= 2
# How long make reliability, make fuzz and make soak take.
ROUNDS ?= 30
EXAMPLES ?= 300
SENDINGS ?= 20000
SEED ?= $(shell date +%s)
SEED := $(SEED)
MINUTES ?= 30

.PHONY: sandbox test test-all check lint types imports docs security conform load-smoke load bench bench-short reliability \
  fuzz soak screenshots clean

sandbox: $(READY)  ## Start the sandbox
	@$(BIN)/leadsandbox up

test: $(READY)  ## Run the tests, but for the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long"

test-all: $(READY)  ## Run every test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: lint types imports docs security test-all conform load-smoke  ## All that CI runs

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

docs: $(READY)  ## Generated pages are up to date
	@$(BIN)/python docs/generate.py --check

security: $(READY)  ## bandit, and known vulnerabilities of the packages where their list can be reached
	@$(BIN)/bandit -q -c pyproject.toml -r simulator mock_buyers conformance loadtests fixtures
	@$(BIN)/python .ci/audit_dependencies.py

conform: $(READY)  ## The conformance suite against a sandbox of its own
	@$(BIN)/leadsandbox conform

load-smoke: $(READY)  ## Two load scenarios against a sandbox of their own, about ninety seconds
	@$(BIN)/leadsandbox load lookup steady --attempts 3

reliability: $(READY)  ## Kill everything at random, take away what it needs: about half an hour
	@LEADSANDBOX_KILL_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/test_kill.py tests/test_started_again.py tests/test_outages.py \
	  tests/test_machines.py tests/test_exactness.py tests/test_check_state.py

fuzz: $(READY)  ## Any order of requests against a model, generated requests, nonsense on raw sockets; new dice each time
	@echo "seed $(SEED): make fuzz SEED=$(SEED) repeats what schemathesis and the raw sockets send"
	@LEADSANDBOX_FUZZ_EXAMPLES=$(EXAMPLES) LEADSANDBOX_FUZZ_SEED=$(SEED) \
	  $(BIN)/python -m pytest tests/test_state_machines.py tests/test_second_judge.py
	@LEADSANDBOX_FUZZ_SENDINGS=$(SENDINGS) LEADSANDBOX_FUZZ_SEED=$(SEED) \
	  $(BIN)/python -m pytest -q tests/test_raw_sockets.py

soak: $(READY)  ## Half an hour at half the ceiling: is everything flat?
	@$(BIN)/python -m tests.benchmarks.soak --minutes $(MINUTES)

screenshots: $(READY)  ## Pictures of the dashboard for the documentation, taken with Chromium
	@$(BIN)/python -m tests.screenshots docs/images

load: $(READY)  ## Every load scenario
	@$(BIN)/leadsandbox load all funnel fleet soak polite stubborn

bench: $(READY)  ## The sandbox beside a bare Flask application and its peers, about eight minutes
	@$(BIN)/python -m tests.benchmarks $(BENCH)

bench-short: $(READY)  ## The same in one short round: does it still run?
	@$(BIN)/python -m tests.benchmarks --short $(BENCH)

# Made anew when the requirements change; a run that broke off leaves no stamp and is done again.
$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "leadsandbox needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,load]'
	@touch $@

clean:
	rm -rf $(VENV) .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
