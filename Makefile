# From a bare checkout: `make run` and `make test` need python3 (3.11 or newer), pip and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
INSTALLED := $(VENV)/.installed

export KEDRO_DISABLE_TELEMETRY ?= 1
export MLFLOW_DISABLE_TELEMETRY ?= true
# kedro-mlflow makes mlflow say how to write a model class at the start of every command
export PYTHONWARNINGS ?= ignore::UserWarning:mlflow.pyfunc.utils.data_validation

.PHONY: run truth bench test test-slow test-browser test-gpu test-ray faults lint audit format notebooks docs pictures viz mlflow constraints clean help

run: $(INSTALLED) ## The main job on the synthetic demo corpus: videos in, report out
	$(BIN)/kedro run --env demo
	@echo "Report: data/demo/08_reporting/report.html"

truth: $(INSTALLED) ## The truth benchmark: six planted worlds, reached beside reachable; more than an hour
	$(BIN)/kedro run --env truth
	@echo "Page: data/truth/08_reporting/truth.html"

bench: $(INSTALLED) ## Speed beside peers, in tables; an hour of a quiet machine, after `make run`
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,bench]'
	set -e; for part in frame_decoding audio_extraction whisper_speed convlstm_step whole_way start_up; do \
	  echo; echo "# benchmarks/$$part.py"; $(BIN)/python benchmarks/$$part.py; done

test: $(INSTALLED) ## The quick tests, as many side by side as JOBS says
	$(BIN)/pytest --numprocesses $(JOBS) --durations 20

test-slow: $(INSTALLED) ## The tests that take minutes
	OMP_NUM_THREADS=$(JOBS) $(BIN)/pytest -m slow

test-browser: ## The tests that drive a real browser; installs nothing
	@command -v chromium chromedriver | wc -l | grep -qx 2 || { echo "chromium or chromedriver is \
	missing. On Debian, as root: apt-get install chromium chromium-driver"; exit 1; }
	@$(BIN)/python -c 'import pytest, selenium, yt_dlp' || { echo "Set up $(VENV) first: make test, \
	or pip install -c constraints.txt -e '.[demo,dev]'"; exit 1; }
	$(BIN)/pytest -m browser

test-gpu: $(INSTALLED) ## The tests that need a CUDA device, and a torch that is built for it
	$(BIN)/pytest -m gpu

test-ray: $(INSTALLED) ## The tests of the Ray engine, on clusters of this machine; minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,ray]'
	OMP_NUM_THREADS=$(JOBS) $(BIN)/pytest -m ray

faults: $(INSTALLED) ## Through every fault: hostile clips, disks, clocks, twenty killed runs; hours
	FAULT_KILLS=20 OMP_NUM_THREADS=$(JOBS) $(BIN)/pytest -m "not gpu and not browser" \
		tests/faults tests/hostile tests/execution tests/models/test_device_memory.py

lint: $(INSTALLED) ## Style, types, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## Let ruff put things in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

audit: $(INSTALLED) ## Known faults of what is installed, and its licences, in docs/licences.md
	test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && \
	  build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit; }
	$(BIN)/python docs/licences.py
	$(BIN)/python docs/audit.py build/audit/bin/pip-audit

notebooks: $(INSTALLED) ## Execute the notebooks on the demo's results; after `make run`
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,notebooks]'
	$(BIN)/pytest --nbmake --numprocesses 0 notebooks

docs: $(INSTALLED) ## The documentation as a site, in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,docs]'
	$(BIN)/mkdocs build --strict
	@echo "Site: build/site/index.html"

pictures: $(INSTALLED) ## The documentation's pictures anew; after `make run`, with chromium
	$(BIN)/python docs/pictures.py

viz: $(INSTALLED) ## The pipelines as a graph, at http://localhost:4141
	$(BIN)/kedro viz run --env demo --include-hooks

MODELS := http://localhost:5000/\#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=models

mlflow: $(INSTALLED) ## Runs and models side by side, at the address that it prints
	@echo "The models of the latest run: $(MODELS)"
	PATH="$(abspath $(BIN)):$$PATH" kedro mlflow ui --env demo

constraints: ## Resolve pyproject.toml anew and pin the whole tree
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/pip install -q torch==2.13.0
	build/constraints/bin/pip install -q -e '.[demo,dev,docs,notebooks,bench,ray]'
	{ head -1 constraints.txt; build/constraints/bin/pip freeze --exclude-editable \
	  | sed -E 's/^torch==([0-9.]+).*/torch==\1/'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	touch $@

clean: ## Remove the environment and everything that the demo made
	rm -rf $(VENV) data/demo build

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16
