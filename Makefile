# Every target that needs packages makes the environment in .venv first, once: a machine with
# Python 3.11, 3.12 or 3.13 and make is enough. uv is used where it is installed, else pip.
#   make test PYTHON=/path/to/python3.12     choose the Python that makes the environment
#   make test UV=                            install with pip although uv is there
#   make test ARGS="-k loss -x"              hand arguments on to pytest (-n 0: one process)
# make test-fast runs, of the folders in FAST, the tests that are marked neither slow nor backend
# (pyproject.toml says what these marks mean).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-backends lint format bench report lock clean

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
STAMP := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml | cksum | tr ' ' '-')
DEMO := runs/demo
FAST := core data verdicts experiment report cli phenomena

# Exits 0 only on a Python that tfphen supports.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VERSION := import sys; print("%d.%d.%d" % sys.version_info[:3])

# The first supported Python found; python3 where there is none, so that the message can name it.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	"$$name" -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo "$$name"; exit; }; done; echo python3)
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## run two phenomena at their small size and write a report (a few minutes)
	@echo "Running double_descent and loss_correction at their small size into $(DEMO)."
	@$(BIN)/tfphen run double_descent loss_correction --size small --out $(DEMO)
	@$(BIN)/tfphen report --out $(DEMO)

test: $(STAMP) ## run the tests
	@echo "Running the tests."
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-fast: $(STAMP) ## run the tests that neither train nor need TensorFlow (a minute or two)
	@echo "Running the fast tests."
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not backend" \
	    $(addprefix tests/,$(FAST)) $(ARGS)

test-backends: $(STAMP) ## install JAX and PyTorch, then compare the library on all three backends
	@echo "Installing JAX and PyTorch (a few minutes)."
	@if test -n "$(UV)"; then "$(UV)" pip install --quiet --python $(BIN)/python \
	    --no-build-isolation --editable '.[peers]'; \
	else $(BIN)/python -m pip install -qq --disable-pip-version-check \
	    --no-build-isolation --editable '.[peers]'; fi
	@echo "Comparing the backends."
	@TFPHEN_BACKENDS=tensorflow,jax,torch $(BIN)/python -m pytest tests/test_backends.py $(ARGS)

lint: $(STAMP) ## check style, formatting, types and spelling, change nothing
	@echo "Checking style and formatting."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "Checking types and spelling."
	@$(BIN)/mypy
	@$(BIN)/codespell

format: $(STAMP) ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix . || true
	@$(BIN)/ruff format .

bench: $(STAMP) ## time populations of trainings against plain loops
	@echo "Running the speed benchmark."
	@$(BIN)/python benchmarks/speed/population.py $(ARGS)

report: $(STAMP) ## write the report of the records in OUT (default: tfphen's own)
	@$(BIN)/tfphen report $(if $(OUT),--out $(OUT))

lock: ## write requirements.lock anew (needs uv; ARGS=--upgrade for newer versions)
	@if test -x $(BIN)/python; then $(BIN)/python tools/lock.py $(ARGS); \
	else $(PYTHON) tools/lock.py $(ARGS); fi

clean: ## remove caches, built packages and the demo's results (.venv stays)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache $(DEMO)
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP):
	@if test -x $(BIN)/python; then python=$(BIN)/python; else python="$(PYTHON)"; fi; \
	version=$$("$$python" -c '$(VERSION)' 2>/dev/null) || version="no Python"; \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null || { \
	  echo "tfphen needs Python 3.11, 3.12 or 3.13; '$$python' is $$version." \
	    "Choose another with: make PYTHON=/path/to/python3.12$$(test ! -x $(BIN)/python \
	    || echo ', after removing $(VENV)')" >&2; exit 1; }; \
	if test -x $(BIN)/python; then echo "Using the environment in $(VENV) (Python $$version)."; \
	else echo "Making an environment in $(VENV) (Python $$version)."; \
	  rm -rf $(VENV); \
	  if test -n "$(UV)"; then "$(UV)" venv --quiet --python "$$python" $(VENV); \
	  else "$$python" -m venv $(VENV); fi || { rm -rf $(VENV); exit 1; }; fi
	@if test -n "$(UV)"; then echo "Installing the locked packages with uv (a few minutes, 3 GB)."; \
	  "$(UV)" pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	else echo "Installing the locked packages with pip (a few minutes, 3 GB)."; \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes \
	    -r requirements.lock; fi
	@echo "Installing tfphen itself, editable."
	@if test -n "$(UV)"; then "$(UV)" pip install --quiet --python $(BIN)/python \
	    --no-deps --no-build-isolation --editable .; \
	else $(BIN)/python -m pip install -qq --disable-pip-version-check \
	    --no-deps --no-build-isolation --editable .; fi
	@rm -f $(VENV)/.installed-* && touch $@
