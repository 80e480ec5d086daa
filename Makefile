# Two commands: `make demo` runs the embedded default, `make test` runs every check. Each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
KILLS ?= 200
WORKERS = $$($(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')

# compiled modules are kept, whatever the shell says: else each command of a run and of the tests compiles all that it imports
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test slurm-test faults lint tools bench docs pictures clean

help:
	@echo "make demo   set up, then run the embedded default (config/config.yaml) from raw forcing to report"
	@echo "make test   set up, then lint, check types and run the whole test suite"
	@echo "make slurm-test  set up, then try the profile slurm on a SLURM of three nodes on this host (Debian, root); it goes again"
	@echo "make faults  set up, then make two small runs and kill their jobs 200 times (hours); KILLS=20 for fewer"
	@echo "make bench  set up, then run every benchmark (benchmarks/), each beside its competitor; those of real data are run by hand"
	@echo "make docs   set up, then build the site of the documentation into build/docs, warnings as errors"
	@echo "make pictures  after make demo: make the pictures of the documentation from it, in headless Chromium"
	@echo "make env    set up only: .venv with pinned dependencies"
	@echo "make clean  remove .venv, results/demo and build/docs"

env: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "fluxatlas needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	UV_COMPILE_BYTECODE=1 UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[fetch,grib,jobqueue,onnx,slurm,docs,dev]'
	@touch $@

demo: env
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES)

define LINT
$(BIN)/ruff format --check src tests benchmarks docs && \
$(BIN)/ruff check src tests benchmarks docs && \
$(BIN)/mypy && \
$(BIN)/snakefmt --check Snakefile workflow
endef

lint: env
	$(LINT)

tools:
	@tests/install_tools.sh

# types are checked on one core: beside the tests, not before them. One thread of torch for each worker: with one for
# each core they wait for each other (two modules of training: 211 s of processor time, with one thread 47 s). One
# worker more than cores: tests that start processes or servers wait for them half of the time
test: env tools
	{ $(LINT); } & \
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0 --durations 30 --durations-min 5; \
	tests=$$?; wait $$! || { echo "format, lint or types failed, see above"; exit 1; }; exit $$tests

slurm-test: env
	$(BIN)/python tests/slurm/on_slurm.py

faults: env
	$(BIN)/python tests/kills/kills.py --folder build/faults --kills $(KILLS)

bench: env tools
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[bench]'
	@for script in $(filter-out benchmarks/machine.py benchmarks/nee_published.py benchmarks/soil_moisture_hawaii.py benchmarks/soil_moisture_unseen.py,$(wildcard benchmarks/*.py)); do \
		echo "== $$script"; PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; \
	done

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/docs/index.html"

pictures: env tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/site/pictures.py results/demo

clean:
	rm -rf $(VENV) results/demo build/docs
