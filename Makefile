# Everything here works from nothing but Python 3.11 and make. `make sandbox` and `make test` are all you need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two cores: the suite starts real servers, so more workers than cores only wait for each other.
WORKERS ?= 2
SENDINGS ?= 20000
SEED ?= $(shell date +%s)

.PHONY: sandbox test test-all fuzz check lint types imports docs security conform load-smoke load clean

sandbox: $(READY)  ## Start the sandbox
	@$(BIN)/leadsandbox up

test: $(READY)  ## Run the tests, but for the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long"

test-all: $(READY)  ## Run every test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

fuzz: $(READY)  ## The fuzzer on raw sockets for some minutes, with new dice each time
	@LEADSANDBOX_TESTS_FUZZ_SENDINGS=$(SENDINGS) LEADSANDBOX_TESTS_FUZZ_SEED=$(SEED) \
	  $(BIN)/python -m pytest -q tests/test_raw_sockets.py && echo "seed $(SEED), $(SENDINGS) sendings"

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
	@for try in 1 2 3; do \
	  $(BIN)/leadsandbox load lookup steady; code=$$?; \
	  [ $$code -eq 21 ] || exit $$code; \
	  echo "the machine was too busy for a verdict; again"; \
	done; exit 21

load: $(READY)  ## Every load scenario, about six minutes
	@$(BIN)/leadsandbox load all

# Made anew when the requirements change; a run that broke off leaves no stamp and is done again.
$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "leadsandbox needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,load]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
