# Needs Python 3.11 or later, make, and a package index. Everything goes into .venv; delete it to start again.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-input
RUFF := $(VENV)/bin/ruff
# One process of tests for each processor, and few enough for the memory of a laptop.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup dev demo test test-all lint format format-check types docs bench check clean
.DELETE_ON_ERROR:

help:
	@echo "make demo          train on real weather and write a report (sets everything up first)"
	@echo "make test          run the tests, but for the slow ones"
	@echo "make test-all      run all tests"
	@echo "make lint          look for mistakes (ruff)"
	@echo "make format        lay out the code (ruff); make format-check only looks"
	@echo "make types         check the types (mypy)"
	@echo "make docs          build the documentation; every warning is an error"
	@echo "make bench         time training against PyTorch, JAX and ONNX Runtime; ARGS=--quick takes two minutes"
	@echo "make check         all of the above, as CI does"
	@echo "make dev           only set up .venv with the tools of development"
	@echo "make clean         remove what was built, and .venv"
	@echo "PYTHON=python3.12 make ...  takes another Python (3.11 or later)"

# --clear: whatever lies there has no interpreter that works.
$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "bptt needs Python 3.11 or later. Got none called $(PYTHON): install it, or name it with PYTHON=... make" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bptt needs Python 3.11 or later. Got $$("$(PYTHON)" --version 2>&1): name a newer one with PYTHON=... make" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) must have the modules venv and ensurepip. Got one without: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear $(VENV)

# Stamps: nothing is installed again until pyproject.toml changes. The package is installed in place (-e), so an
# edit of src/ counts at once.
$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "Installing bptt into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing bptt and its tools of development into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.core

setup: $(VENV)/.core

dev: $(VENV)/.dev

demo: $(VENV)/.core
	@$(VENV)/bin/bptt demo

test: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest -q $(PARALLEL)

test-all: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest -q $(PARALLEL) -m "slow or not slow"

lint: $(VENV)/.dev
	@$(RUFF) check .

format: $(VENV)/.dev
	@$(RUFF) check -q --select I --fix .
	@$(RUFF) format .

format-check: $(VENV)/.dev
	@$(RUFF) format --check .

types: $(VENV)/.dev
	@$(VENV)/bin/mypy

docs: $(VENV)/.dev
	@$(VENV)/bin/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "Built docs/_build/html/index.html"

# Peers are not installed: those in .venv take part, the others are named.
bench: $(VENV)/.dev
	@$(VENV)/bin/python -m benchmarks $(ARGS)

check: format-check lint types docs test-all

clean:
	rm -rf $(VENV) docs/_build dist build .pytest_cache .mypy_cache .ruff_cache
