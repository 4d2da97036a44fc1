# make run: from a bare clone to two trained, registered, quantised versions of the example profile.
# make test: everything that CI checks.
PYTHON ?= python3
VENV ?= .venv
ROOT ?= demo
BIN := $(VENV)/bin
# The pinned llama-cpp-python has no wheels for the CPU; what a cycle does not need is left out of its build.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1
TORCH_CPU = 2.13.0
BENCHES = startup scan idle burst cycle train weights rebuild versions gate

.DEFAULT_GOAL := help
.PHONY: help run test test-tiny test-others check unit slow bench clean need

help:
	@echo "make run    set up, then the demo: version 1 and 2 of the example profile, in ./$(ROOT)"
	@echo "make test   set up, then everything that CI checks"
	@echo "make check  ruff, mypy, import-linter"
	@echo "make slow   the tests with the demo's real model"
	@echo "make bench  all benchmarks, some of them for many minutes (QUICK=--quick: a few each)"

run: $(VENV)/.ready
	$(BIN)/metahuman demo --root $(ROOT)

# Two runs at once: what trains mostly computes, and what does not mostly waits.
test: check
	@$(MAKE) --no-print-directory -j2 test-tiny test-others

test-tiny: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -q tests/tiny

test-others: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -q --ignore=tests/tiny

check: $(VENV)/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -q tests/unit

slow: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -q -m slow

bench: $(VENV)/.ready-bench
	for bench in $(BENCHES); do $(BIN)/python bench/$$bench.py $(QUICK) || exit 1; done
	@test -n "$(QUICK)" || $(BIN)/python bench/weights.py --size 8 --pairs 1
# The whole of it takes hours (docs/learning.md).
	$(BIN)/python bench/forgetting.py --quick

clean:
	rm -rf $(VENV) $(ROOT) build dist

need:
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing: apt-get install g++"; exit 1; }

$(VENV)/bin/python: | need
	$(PYTHON) -m venv $(VENV)

# With an NVIDIA card the newest torch (CUDA) is wanted; without one, the CPU build saves gigabytes.
$(VENV)/.ready: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -c 'import torch' 2>/dev/null || test -e /dev/nvidia0 || \
	  $(BIN)/pip install -q torch==$(TORCH_CPU)+cpu 2>/dev/null || \
	  $(BIN)/pip install -q torch==$(TORCH_CPU) --extra-index-url https://download.pytorch.org/whl/cpu
	@echo "installing (llama-cpp-python is compiled: some minutes)"
	$(BIN)/pip install -q -e .
	$(BIN)/metahuman setup --demo
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/pip install -q -e '.[dev]'
	touch $@

# TRL brings datasets, which transformers' Trainer imports wherever it is there: the tests do without.
$(VENV)/.ready-bench: $(VENV)/.ready-dev
	$(BIN)/pip install -q -e '.[bench]'
	touch $@
