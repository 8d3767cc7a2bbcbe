# make demo | native | test | lint | bench | wheel | clean
# Needs Python 3.11 or newer, make, and a package index; everything else goes into .venv.
# `make native` builds the accelerator too, and needs cargo with Rust 1.89 or newer.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
RUN := $(VENV)/bin/
INSTALL := $(RUN)python -m pip install --quiet --disable-pip-version-check

.PHONY: demo native test lint bench wheel clean

demo: $(VENV)/installed
	rm -rf demo
	$(RUN)evote demo -o demo

native: $(VENV)/native

test: $(VENV)/installed
	$(RUN)python -m pytest -n 2

lint: $(VENV)/installed
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy

bench: $(VENV)/installed
	$(RUN)python benchmarks/bench_groups.py
	$(RUN)python benchmarks/bench_election.py --profile

wheel: $(VENV)/installed
	$(RUN)python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist demo native/dist native/target .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again whenever the list of dependencies may have changed.
$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "evote needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@# A half-made one, as after an interruption or without the system's venv package, has no pip.
	$(RUN)python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(INSTALL) --editable '.[test,lint]'
	touch $@

# Made again whenever its sources have changed.
$(VENV)/native: $(VENV)/installed $(shell find native -name target -prune -o -name dist -prune -o -type f -print)
	@command -v cargo >/dev/null || { echo "make native needs cargo: https://rustup.rs" >&2; exit 1; }
	$(INSTALL) 'maturin>=1.9,<2'
	rm -rf native/dist
	PATH="$(abspath $(VENV))/bin:$$PATH" native/build.sh native/dist
	$(INSTALL) --force-reinstall --no-deps native/dist/*.whl
	touch $@
