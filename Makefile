# make demo | test | lint | bench | wheel | clean
# Needs Python 3.11 or newer, make, and a package index; everything else goes into .venv.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
RUN := $(VENV)/bin/
INSTALL := $(RUN)python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench wheel clean

demo: $(VENV)/installed
	rm -rf demo
	$(RUN)evote demo -o demo

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
	rm -rf $(VENV) build dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again whenever the list of dependencies may have changed.
$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "evote needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@# A half-made one, as after an interruption or without the system's venv package, has no pip.
	$(RUN)python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(INSTALL) --editable '.[test,lint]'
	touch $@
