# Two commands: make run, make test. Needs Python 3.11 or newer, git and make; no root, no account.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install --require-hashes
WORKERS ?= 2

.PHONY: run test faults browser soak bench lint lock reading-report schema clean

run: $(VENV)/.run
	@exec $(BIN)/python -m bot run

test: $(VENV)/.dev lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not faults and not browser and not soak"

faults: $(VENV)/.dev  ## kills real processes; FAULTS_SEED=n and FAULTS_SIZE=patients choose the run
	$(BIN)/python -m pytest -n 0 -s -m faults

browser: $(VENV)/.dev  ## needs Chromium (apt-get install chromium); CONSOLE_PICTURES=DIR keeps the screenshots
	$(BIN)/python -m pytest -n 0 -m browser

soak: $(VENV)/.dev  ## every mutant of triage.json, four minutes of fuzzing; about 20 minutes
	$(BIN)/python -m pytest -n 0 -m soak

bench: $(VENV)/.dev  ## about ten minutes; PARTS="inprocess http" runs only those
	$(BIN)/python -m tests.bench $(PARTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this one is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 run")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: requirements.lock | $(VENV)/.python
	@echo "Installing pinned dependencies (once) ..."
	@$(PIP) -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.python
	@echo "Installing pinned dependencies for development (once) ..."
	@$(PIP) -r requirements-dev.lock
	@touch $@ $(VENV)/.run

lock:  ## needs uv; the lock files are what everybody else uses
	uv pip compile -q --universal --generate-hashes --no-annotate --python-version 3.11 requirements.in -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-annotate --python-version 3.11 requirements.in requirements-dev.in -c requirements.lock -o requirements-dev.lock

schema: $(VENV)/.dev
	$(BIN)/python -m bot schema > flows/schema.json

reading-report: $(VENV)/.dev
	$(BIN)/python -m tests.reading.report

clean:
	rm -rf $(VENV) var
