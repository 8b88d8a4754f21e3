# Five commands are the whole interface: demo, test, lint, bench, docs (test-fast is for whoever changes a line). Each works
# from nothing: all that is needed is Python 3.11 or newer and a package index. Where python3 is older:
# make test PYTHON=python3.12

PYTHON ?= python3
PIP_INSTALL = -m pip install --disable-pip-version-check --constraint constraints.txt
SOURCES := $(shell find photochrom -type f -not -name '*.pyc')

.PHONY: demo test test-fast test-browser lint bench docs
.DELETE_ON_ERROR:

## Color the photographs of examples/photos into out/, with the package installed as a user has it, without torch.
demo: .venv-demo/.installed
	.venv-demo/bin/photochrom colorize examples/photos -o out --overwrite
	@echo "The photographs in color:" && find "$(CURDIR)/out" -type f | sort

## Run every test. One thread each, since two processes share the processor.
test: .venv/.installed
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2

## Run the tests that take less than a second each.
test-fast: .venv/.installed
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 -m "not slow and not browser"

## Drive the page in Chromium, which apt-get install chromium brings.
test-browser: .venv/.installed
	.venv/bin/python -m pytest -m browser tests/serve

lint: .venv/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/.installed
	.venv/bin/python -m bench

## Write the reference of the command line again, from the command line itself.
docs: .venv/.installed
	.venv/bin/python -m photochrom.cli.docs > docs/cli.md.new
	mv docs/cli.md.new docs/cli.md

# An environment that is there is brought up to date rather than made again. The old build/ goes first: setuptools would
# pack modules from it that are long gone.
.venv-demo/.installed: pyproject.toml constraints.txt README.md LICENSE $(SOURCES) | .venv-demo/bin/pip
	rm -rf build
	.venv-demo/bin/python $(PIP_INSTALL) .
	touch $@

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/pip
	.venv/bin/python $(PIP_INSTALL) --editable '.[train,dev]'
	touch $@

.venv/bin/pip .venv-demo/bin/pip: %/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Photochrom needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": name another one with PYTHON=...")'
	$(PYTHON) -m venv $*
