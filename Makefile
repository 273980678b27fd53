SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
export SEXTANT_HOME ?= $(CURDIR)/.sextant
export DAGSTER_HOME := $(SEXTANT_HOME)/dagster
export PYTHONHASHSEED := 0
# Of tests: one more than cores, for many wait.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

.PHONY: help demo demo-bad dev serve test test-fast test-faults lint format lock clean
.DEFAULT_GOAL := help

help:  ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@echo "installing the packages of requirements.lock into .venv; this takes some minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/sextant init
	touch $@

demo: .venv/installed  ## Run flight_delays from its tables to a Bento that answers
	$(BIN)/sextant demo flight_delays

demo-bad: .venv/installed  ## After demo: retrain it with a bad declaration, and see the gates refuse
	$(BIN)/sextant demo flight_delays --bad

dev: .venv/installed  ## Open the Dagster UI (port 3000) and the MLflow UI (port 5000)
	$(BIN)/sextant dev

serve: .venv/installed  ## Serve the newest Bento of flight_delays (port 3001)
	$(BIN)/sextant serve flight_delays

test: .venv/installed  ## Run every test
	$(BIN)/python -m pytest -n $(WORKERS) --durations 10

test-fast: .venv/installed  ## Run the tests that take seconds
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not faults"

test-faults: .venv/installed  ## Kill a run at every point of every write, fill its disk, lock its databases
	$(BIN)/python -m pytest -n $(WORKERS) -m faults

lint: .venv/installed  ## Check style, types, words, the direction of imports and what they need
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict ml resources assets dagster_project service sextant
	$(BIN)/lint-imports
	$(BIN)/python tests/words.py
	$(BIN)/deptry . --extend-exclude 'benchmarks|docs'
	$(BIN)/deptry . --exclude '\.venv' --ignore DEP002,DEP004

format: .venv/installed  ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/installed  ## Pin every package anew (pip-tools; torch without its local version)
	$(BIN)/pip-compile --quiet --upgrade --extra boosters --extra dev --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	sed -i -E 's/^(torch==[0-9.]+)\+cpu/\1/' requirements.lock
	( $(BIN)/python -m resources.runtime; sed -n 's/^onnxruntime-gpu==/onnxruntime==/p' requirements.lock ) \
		| $(BIN)/uv pip compile - --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--constraint requirements.lock --output-file resources/runtime.lock

clean:  ## Remove the environment and all state
	rm -rf .venv .sextant .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
