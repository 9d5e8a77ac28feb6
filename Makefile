PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo lab recognise bench bench-gpu soak fuzz test clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## the main job on a class of about 20: release, submissions, grading, feedback, table
	$(BIN)/python -m autograde demo

lab: setup ## JupyterLab on a learner's copy of the release, in lab/
	$(BIN)/python -m autograde lab

recognise: setup ## how each mistake is recognised when it is written differently
	$(BIN)/python -m autograde recognise

bench: setup ## our grading beside stock nbgrader on 100 submissions, in one run (ARGS="--count 10")
	$(BIN)/python -m autograde bench --slug multi_head_attention $(ARGS)

soak: setup ## 10,000 gradings in one run, and whether anything grows (ARGS="--count 1000")
	$(BIN)/python -m autograde soak $(ARGS)

bench-gpu: setup ## the kernel of tiled_attention beside PyTorch's own attention, on a CUDA GPU
	$(BIN)/python -m autograde bench-gpu tiled_attention

test: setup ## everything that CI checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist loadfile --nbval --nbval-cell-timeout=300 solutions
	$(BIN)/python -m pytest -n auto

fuzz: setup ## the decoder of the wire against forged frames (ARGS="--seconds 600 --seed 2")
	$(BIN)/python tests/attacks/fuzzer.py $(ARGS)

clean: ## remove .venv and what the demo made
	rm -rf $(VENV) demo bench.json .mypy_cache .pytest_cache .ruff_cache
