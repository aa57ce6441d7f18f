# `make demo` and `make test` do all of their own set-up. PYTHON=... chooses the interpreter.
.PHONY: demo test check quick bench clean

SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN = .venv/bin

# Tests are compiled once, also where the environment says that nothing compiled is to be kept.
export PYTHONDONTWRITEBYTECODE =

demo: .venv/installed
	$(BIN)/uproar run digits

test: .venv/installed-test
	$(BIN)/python -m pytest -n auto

check: .venv/installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n auto -m "not slow" tests

# make quick FILE=tests/test_ranking.py
quick: .venv/installed-test
	$(BIN)/python -m pytest $(FILE)

bench: .venv/installed-test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv runs

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "uproar needs Python 3.11, 3.12 or 3.13"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test,bench]"
	touch $@
