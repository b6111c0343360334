# Everything from a bare machine with python3 (3.11 or later) and make:
#   make demo         train a small network on handwritten digits, and write the page of its graph
#   make test         all tests; needs no PyTorch
#   make browser      look at the pages of graphs in a headless Chromium (Debian: apt install chromium)
#   make conformance  compare with PyTorch, which this installs
#   make conformance-kernels   parts of it with the fast kernels off, then with them at every size
#   make bench-small  measure several hundred small operations beside PyTorch, the slowest first
#   make bench-large  measure large arrays beside PyTorch, two threads each
#   make bench        measure beside PyTorch and NumPy (bench-readme: and put the table into the README)
#   make lint         ruff, mypy, the floors of the architecture, fresh stubs and pages
#   make stubs        write what follows from the declarations: type stubs and docs/derivatives*.md
#   make clean        remove what the others made
#
# The environment is .venv; give VENV=... for another, PYTHON=... for a certain interpreter.

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq
TORCH = 2.13.0
TORCH_CPU_INDEX = https://download.pytorch.org/whl/cpu

KERNEL_TESTS = $(addprefix tests/conformance/test_,$(addsuffix .py,autocast autograd distributions foreach functional \
    indexing interop kinks nn optim programs programs_in_style random random_operations sorting sparse))

.PHONY: help demo test browser pictures conformance conformance-kernels bench bench-large bench-small bench-readme lint stubs clean
.DELETE_ON_ERROR:

help:
	@sed -n '2,12s/^# *//p' Makefile

demo: $(VENV)/installed-cli
	@$(BIN)/wengert run examples/digits.py
	@mkdir -p out
	@echo "its graph, from one more step; open the page in a browser:"
	@$(BIN)/wengert graph -o out/digits.html examples/digits.py

test: $(VENV)/installed-test
	@$(BIN)/python -m pytest -q --ignore=tests/conformance --ignore=tests/browser $(ARGS)

browser: $(VENV)/installed-browser
	@$(BIN)/python -m pytest -q tests/browser tests/lens/test_drawing.py $(ARGS)

pictures: $(VENV)/installed-browser
	@$(BIN)/python tools/take_pictures.py

conformance: $(VENV)/installed-conformance
	@$(BIN)/python -m pytest -q tests/conformance $(ARGS)

bench: $(VENV)/installed-conformance
	@$(BIN)/python -m benchmarks $(ARGS)

bench-small: $(VENV)/installed-conformance
	@$(BIN)/python -m benchmarks.small $(ARGS)

bench-large: $(VENV)/installed-conformance
	@$(BIN)/python -m benchmarks.large $(ARGS)

# The comparison with PyTorch once with the reference kernels alone, once with the fast kernels at every size.
conformance-kernels: $(VENV)/installed-conformance
	@WENGERT_FAST=0 $(BIN)/python -m pytest -q $(KERNEL_TESTS) $(ARGS)
	@WENGERT_FAST_FROM=1 $(BIN)/python -m pytest -q $(KERNEL_TESTS) $(ARGS)

bench-readme: $(VENV)/installed-conformance
	@$(BIN)/python -m benchmarks --update-readme

lint: $(VENV)/installed-lint
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/floors.txt || { cat $(VENV)/floors.txt; exit 1; }
	@sed -n '/^Contracts:/p' $(VENV)/floors.txt
	@$(BIN)/python tools/make_stubs.py --check
	@$(BIN)/python tools/make_derivatives.py --check

stubs: $(VENV)/installed-lint
	@$(BIN)/python tools/make_stubs.py
	@$(BIN)/python tools/make_derivatives.py

clean:
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# --- the environment: one stamp for each set of extras, remade when pyproject.toml changes ----------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "wengert needs Python 3.11 or later and found none; name one with make PYTHON=..." >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "python's venv module failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/installed-%: pyproject.toml wengert/version.py | $(BIN)/python
	@echo "installing wengert[$*]"
	@$(PIP) install --editable ".[$*]"
	@touch $@

# Both PyPI's wheel and the small CPU one count as 2.13.0. Take the small one where an index has it.
$(VENV)/installed-conformance: pyproject.toml wengert/version.py | $(BIN)/python
	@echo "installing wengert[conformance] with PyTorch $(TORCH), the oracle"
	@$(PIP) install "torch==$(TORCH)+cpu" 2>/dev/null \
	    || $(PIP) install --index-url $(TORCH_CPU_INDEX) "torch==$(TORCH)+cpu" 2>/dev/null \
	    || $(PIP) install "torch==$(TORCH)"
	@$(PIP) install --editable ".[conformance,scipy]"
	@touch $@
