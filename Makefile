# Everything from a fresh clone: `make train` trains, `make test` tests. Needs Python 3.11 or newer, make, and a C++
# compiler (without one the library runs on its NumPy reference kernels, slower). `make help` lists the rest.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# Stamps say what is installed in $(VENV) and when; make compares them with the files that were installed.
USER := $(VENV)/stamp-user
EDIT := $(VENV)/stamp-editable
INSTALLED := $(if $(wildcard $(EDIT)),$(EDIT),$(USER))
BUILD_FILES := pyproject.toml setup.py $(shell find csrc tinygrad_edu/autograd -type f 2>/dev/null) tinygrad_edu/tensor.py
SOURCES := $(BUILD_FILES) $(shell find tinygrad_edu -type f \( -name '*.py' -o -path '*/data/files/*' \) 2>/dev/null)

LESSON ?=

.PHONY: help train test lint format sizes links readme coverage lessons docs sanitize clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/make \1\t/p' Makefile | expand -t 16

train: $(INSTALLED)  ## train a network on handwritten digits (make train ARGS="--epochs 5" for other settings)
	$(BIN)/tge train digits $(ARGS)

test: $(EDIT)  ## all tests (make test ARGS="-x tests/ops" for some)
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(VENV)/stamp-dev  ## style, format, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/stamp-dev  ## bring the Python files into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sizes:  ## lines of code per folder
	@$(PYTHON) tools/sizes.py

links:  ## point the links of docs/ to where the code is now
	@$(PYTHON) tools/links.py

readme: $(INSTALLED)  ## measure the figures and draw the pictures of README.md again
	$(BIN)/python tools/readme.py

coverage: $(EDIT)  ## write the tables of docs/coverage.md again (needs PyTorch)
	$(BIN)/python tools/coverage_table.py

lessons: $(EDIT)  ## run the lessons with three seeds and write docs/lessons.md again (make lessons LESSON=01 for one)
	$(BIN)/python tools/lessons.py $(LESSON)

docs: $(EDIT)  ## the pages of docs/ and all lessons, with their output and figures, as HTML in docs/_build (minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs,search]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

sanitize: $(VENV)/stamp-dev  ## the kernel tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
	PYTHON=$(BIN)/python bash tools/sanitize.sh
	PYTHON=$(BIN)/python bash tools/sanitize.sh thread

clean:  ## remove all that was built and installed; training runs stay
	rm -rf $(VENV) .venv-* docs/_build docs/path build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find tinygrad_edu -name '*.so' -delete
	find tinygrad_edu tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the environment ---------------------------------------------------------------------------------------------------
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Says what the compiled kernels lack. Not an error: the library works without them.
.PHONY: toolchain
toolchain: | $(VENV)/bin/python
	@$(BIN)/python tools/toolchain.py

$(USER): $(SOURCES) | $(VENV)/bin/python toolchain
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(EDIT): $(BUILD_FILES) | $(VENV)/bin/python toolchain
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@rm -f $(USER)
	@touch $@

$(VENV)/stamp-dev: $(EDIT)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
