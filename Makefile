# make setup   environment in .venv, from nothing (first time: compiles mmcv)
# make demo    set-up, then train and test on embedded data
#              (TASK=det|seg|cls, default det)
# make test    set-up, then the tests
# make test-fast  set-up, then the tests that take at most three minutes
# make docs    set-up, then the docs as a site, in build/site
# make lint    set-up, then ruff, codespell, the rooms' imports, types
# make test-upstream   the tests on the last original OpenMMLab releases, in
#                      .venv-upstream (Python 3.10 or 3.11)
# PYTHON=python3.12 chooses the interpreter (3.10 to 3.13).
PYTHON ?= python3
VENV ?= .venv
TASK ?= det
ifeq ($(filter $(TASK),det seg cls),)
  $(error TASK=$(TASK) is unknown: use det, seg or cls)
endif
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Parallel compilers of mmcv's ops; each takes memory, so few by default.
JOBS ?= 2
STAMP := $(VENV)/.ready
# Two processes of one thread each; a file stays in one, with its fixtures.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

# OpenMP's threads sleep while they wait: beside two other jobs a step of the
# demo takes 1.7 s instead of 2.5, on an idle machine the same.
export OMP_WAIT_POLICY ?= passive

UPSTREAM ?= .venv-upstream
UPSTREAM_STAMP := $(UPSTREAM)/.ready

.PHONY: setup demo test test-fast test-upstream lint docs clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): $(wildcard requirements/*.txt) setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "$(PYTHON) is not Python 3.10 to 3.13: name one, PYTHON=python3.11 make $(MAKECMDGOALS)"; exit 1; }
	@echo "[1/5] virtual environment $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@echo "[2/5] torch and what compiles mmcv"
	$(PIP) install -r requirements/build.txt
	@echo "[3/5] mmcv: compiles its ops once (10 to 14 minutes on two cores), then from pip's cache"
	MAX_JOBS=$(JOBS) $(PIP) install --no-build-isolation "$$(grep '^onedl-mmcv=' requirements/mminstall.txt)"
	@echo "[4/5] the other OpenMMLab libraries, tests, demo, docs"
	$(PIP) install -r requirements/mminstall.txt -r requirements/tests.txt -r requirements/optional.txt -r requirements/docs.txt
	@echo "[5/5] banet itself"
	$(PIP) install --no-build-isolation -e .
	$(PIP) check
	@touch $@

demo: setup
	$(BIN)/python tools/demo.py $(TASK)

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL)

test-fast: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/mypy

# A warning is an error: a link that leads nowhere, a docstring that is not
# what it seems.
docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/site
	@echo build/site/docs/contents.html

$(UPSTREAM_STAMP): $(wildcard requirements/*.txt) setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' || \
	  { echo "$(PYTHON) is not Python 3.10 or 3.11, which torch 2.1 needs: PYTHON=python3.11 make $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(UPSTREAM)
	grep -E '^(setuptools|wheel|ninja|numpy|torch)' requirements/upstream.txt > $(UPSTREAM)/first.txt
	$(UPSTREAM)/bin/python -m pip install -r $(UPSTREAM)/first.txt
	MAX_JOBS=$(JOBS) $(UPSTREAM)/bin/python -m pip install --no-build-isolation "$$(grep '^mmcv=' requirements/upstream.txt)"
	$(UPSTREAM)/bin/python -m pip install -r requirements/upstream.txt -r requirements/tests.txt -r requirements/optional.txt
	$(UPSTREAM)/bin/python -m pip install --no-build-isolation -e .
	$(UPSTREAM)/bin/python -m pip check
	@touch $@

test-upstream: $(UPSTREAM_STAMP)
	OMP_NUM_THREADS=1 $(UPSTREAM)/bin/python -m pytest $(PARALLEL)

# Trainings, in work_dirs, stay.
clean:
	rm -rf $(VENV) $(UPSTREAM) build dist projects/*.egg-info
