# kpnn: two commands are enough. `make demo` shows the whole of it on simulated cells, `make test` checks it.
# Each sets up .venv by itself, once; a changed pyproject.toml or constraints.txt sets it up again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
KEDRO := $(BIN)/kedro
KPNN := $(BIN)/kpnn
PROJECT_PYTHON := $(BIN)/python
# Kedro starts `mlflow`, and tests start `kedro`, by name.
export PATH := $(abspath $(BIN)):$(PATH)

include src/kpnn/app/project/Makefile

.PHONY: test lint docs tutorials gallery walk dist setup setup-dev setup-docs

demo init check run mlflow viz: setup

test: setup-dev lint ## lint, check types and import rules, run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadscope

lint: setup-dev ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup-docs ## build the documentation into site/, warnings are errors, and look at its pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean
	$(BIN)/python docs/generator/look.py
	@echo "  Open site/index.html"

tutorials: setup-dev ## execute the notebooks and write their pages in docs/tutorials/; CHECK=--check only compares
	$(PROJECT_PYTHON) docs/generator/tutorials.py $(CHECK)

gallery: setup-dev ## run the demo elsewhere, and take the pictures of docs/gallery.md that are stale anew
	OMP_NUM_THREADS=1 $(BIN)/pytest -m targets tests/docs/test_gallery.py --write-gallery

walk: setup-dev ## type in every command of docs/get_started.md, in a project of its own
	$(PROJECT_PYTHON) docs/generator/walk.py

dist: setup-docs ## build wheel and sdist into dist/, and check them
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

setup: $(VENV)/.ready

setup-dev: $(VENV)/.ready-dev

setup-docs: $(VENV)/.ready-docs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit(f"kpnn needs Python 3.11 to 3.13, this is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV): this takes a few minutes, once."
	$(INSTALL) --editable '.[project]'
	@touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) with development tools: this takes a few minutes, once."
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) with what documentation and release need: this takes a few minutes, once."
	$(INSTALL) --editable '.[docs,release]'
	@touch $@ $(VENV)/.ready
