# make run     set up once, then run a shipped scenario with the default model
# make test    set up what tests need, and run them (SLOW=1 adds the slow ones)
# make check   ruff and mypy --strict
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run setup test check slow clean

run: .venv/ready
	$(BIN)/multiplex run eldercare

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[offline]"
	@touch $@

.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev
	@touch $@

test: .venv/dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

slow: .venv/dev
	$(BIN)/python -m pytest -m slow

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
