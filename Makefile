# make setup   environment in .venv, from nothing (first time: compiles mmcv)
# make demo    set-up, then train and test on embedded data
#              (TASK=det|seg|cls, default det)
# make test    set-up, then the tests
# make lint    set-up, then ruff
# PYTHON=python3.12 chooses the interpreter (3.10 to 3.12).
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

.PHONY: setup demo test lint clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): $(wildcard requirements/*.txt) setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.10 to 3.12: name one, PYTHON=python3.11 make $(MAKECMDGOALS)"; exit 1; }
	@echo "[1/5] virtual environment $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@echo "[2/5] torch and what compiles mmcv"
	$(PIP) install -r requirements/build.txt
	@echo "[3/5] mmcv: compiles its ops once (about 10 minutes on two cores), then from pip's cache"
	MAX_JOBS=$(JOBS) $(PIP) install --no-build-isolation "$$(grep '^onedl-mmcv=' requirements/mminstall.txt)"
	@echo "[4/5] the other OpenMMLab libraries, tests, demo"
	$(PIP) install -r requirements/mminstall.txt -r requirements/tests.txt -r requirements/optional.txt
	@echo "[5/5] banet itself"
	$(PIP) install --no-build-isolation -e .
	$(PIP) check
	@touch $@

demo: setup
	$(BIN)/python tools/demo.py $(TASK)

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build dist work_dirs data/digits projects/*.egg-info
