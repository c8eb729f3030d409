# Everything runs in .venv; the stamps say which extras it holds, so a second start needs no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml requirements.lock
# compat: the clone itself goes on Python's path, so that a folder named ganvas beside a script does not hide the package.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint requirements.lock \
  --config-settings editable_mode=compat

.DEFAULT_GOAL := help
.PHONY: help install demo test watch faults compose-test kube-test docs check format lock screenshots fuzz bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Ganvas needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "No venv could be made; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.run: $(VENV)/.python $(INPUTS)
	@echo "Installing Ganvas and PyTorch into $(VENV) (once; a few minutes and about 6 GB) …"
	@$(PIP) --editable '.[server,figures,train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run $(INPUTS)
	@echo "Installing what the tests need into $(VENV) …"
	@$(PIP) --editable '.[dev]'
	@touch $@

install: $(VENV)/.run ## make .venv with the service, the worker and the trainer

demo: $(VENV)/.run ## train a GAN on MNIST and watch it on the dashboard (ARGS="--exit --iterations 200")
	@$(BIN)/ganvas demo $(ARGS) || { status=$$?; [ $$status -eq 130 ] || exit $$status; }

# A file's tests share what is slow to make, so each file stays in one process; a trainer takes up to 1.5 GB.
TEST_PROCESSES ?= 3
test: $(VENV)/.dev ## run all tests (ARGS="tests/ganlib -k resume"; TEST_PROCESSES=3)
	@$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

watch: $(VENV)/.dev ## run the tests of what has changed, and again whenever a file is saved (ARGS for pytest)
	@$(BIN)/python -m tests.watch $(ARGS) || { status=$$?; [ $$status -eq 130 ] || exit $$status; }

faults: $(VENV)/.dev ## kill, cut off and fill everything again and again; the table is docs/explanation/reliability.md's
	@GANVAS_FAULTS=long $(BIN)/python -m pytest tests/faults $(ARGS)

compose-test: $(VENV)/.dev ## bring docker-compose.yml up, break its parts one by one (needs Docker or podman)
	@$(BIN)/python tests/containers/compose_faults.py $(ARGS)

kube-test: $(VENV)/.dev ## play k8s/overlays/local in podman with a job to its end (needs podman and built images)
	@$(BIN)/python tests/containers/kube_play.py $(ARGS)

check: $(VENV)/.dev ## format, lint, types, import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## let ruff format and fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(VENV)/.dev ## resolve requirements.lock anew from pyproject.toml
	@$(PIP) uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --extra dev --upgrade --output-file requirements.lock pyproject.toml

docs: $(VENV)/.dev ## build the documentation as a site, into build/docs
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python docs/site/build.py $(ARGS)

screenshots: $(VENV)/.dev ## photograph the dashboard while a GAN trains, into docs/images (needs Chromium)
	@$(BIN)/python -m tests.dashboard.screenshots

fuzz: $(VENV)/.dev ## ask every operation of the API 500 times, with requests that fit its schema and that do not
	@GANVAS_FUZZ_EXAMPLES=250 $(BIN)/python -m pytest tests/api/hostile/test_fuzz.py $(ARGS)

bench: $(VENV)/.run ## measure a training step beside a bare loop
	@$(BIN)/python -m bench.training

clean: ## remove .venv and caches (runs stay in ~/.ganvas)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
