# make            what there is to make
# make quickstart make test   do their own set-up into .venv first, and again when a requirement has changed
# Variables: PYTHON (to create .venv with), VENV (its folder), PYTEST_ARGS, BENCHMARK_ARGS (as --lines a,d),
# CAMVID_ARGS (as --jobs 2),
# GPU_ARGS (as --minutes 9, --dry), GPU_CAMVID_ARGS (as --minutes 9 --jobs 3; without --jobs as many as fit),
# GPU_PYTHON (any Python with torch and mmvice's packages on its path).

SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install quickstart test test-slow test-stress benchmark benchmark-camvid gpu gpu-camvid lint format clean

PYTHON ?= python3
VENV ?= .venv
GPU_CAMVID_ARGS ?= --minutes 9
GPU_PYTHON ?= $(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,python3)
PYTEST_ARGS ?= -n auto --maxprocesses=4
CAMVID := configs/experiments/camvid.yml
STAMP := $(VENV)/.installed
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --no-input

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install mmvice with everything it needs, pinned as tested (5.5 GB)

quickstart: $(STAMP) ## Pretrain on built-in scenes on the CPU, fit both probes, write work_dirs/quickstart/report.html
	$(RUN) tools/quickstart.py

test: $(STAMP) ## Run the tests, without those that are marked slow
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST_ARGS) -m "not slow and not stress"

test-slow: $(STAMP) ## Run the tests that are marked slow; .ci/run runs these too
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST_ARGS) -m "slow and not stress"

test-stress: $(STAMP) ## Run the tests that take minutes each, which nothing else runs
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 -m stress

benchmark: $(STAMP) ## Measure the parts against straightforward ones, write work_dirs/benchmark/results.json
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks $(BENCHMARK_ARGS)

benchmark-camvid: $(STAMP) ## Run what is left of the CamVid benchmark (hours), write work_dirs/benchmark_camvid/cpu/camvid.md and pictures
	[ -f work_dirs/benchmark_camvid/cpu/step_times.json ] || $(RUN) tools/experiments.py steps $(CAMVID)
	$(RUN) tools/experiments.py run $(CAMVID) $(CAMVID_ARGS)
	$(RUN) tools/experiments.py pictures $(CAMVID)

gpu: ## Measure in nine minutes what only a GPU shows, write work_dirs/gpu/results.json; installs nothing, needs no network
	$(GPU_PYTHON) -m benchmarks.gpu $(GPU_ARGS)

# The results of all runs are kept even if one has failed.
gpu-camvid: ## Go on with the GPU size of the CamVid benchmark, keep its results in work_dirs/benchmark_camvid/gpu.jsonl
	$(GPU_PYTHON) tools/experiments.py run $(CAMVID) --size gpu --kept docs/camvid_benchmark/gpu.jsonl \
	    --first random superpixels grid pixels densecl $(GPU_CAMVID_ARGS); status=$$?; \
	$(GPU_PYTHON) tools/experiments.py collect $(CAMVID) --size gpu --kept docs/camvid_benchmark/gpu.jsonl \
	    --export work_dirs/benchmark_camvid/gpu.jsonl && exit $$status

lint: $(STAMP) ## Check style and format
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

format: $(STAMP) ## Mend style and format where that can be done automatically
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

clean: ## Remove .venv, builds and caches; data and work_dirs stay
	rm -rf "$(VENV)" build dist mmvice.egg-info mmvice/.mim .pytest_cache .ruff_cache .hypothesis
	find mmvice tools tests configs benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The lines of pip's report that tell a waiting reader something.
PROGRESS := awk '/^ *Downloading .*(MB|GB)/ || /^Building/ {sub(/^ */, "  "); print; fflush()} \
    /^Installing collected packages/ {print "  Installing " NF - 3 " packages"; fflush()}'

$(RUN):
	@command -v "$(PYTHON)" > /dev/null || { echo "No '$(PYTHON)' here: install Python 3.10 or newer, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "$$("$(PYTHON)" --version) is too old, mmvice needs 3.10 or newer: say make PYTHON=/path/to/a/newer/python3" >&2; exit 1; }
	@echo "== Creating $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear "$(VENV)" > /dev/null || { rm -rf "$(VENV)"; \
	    echo "'$(PYTHON) -m venv' failed: on Debian and Ubuntu install python3-venv, which has the missing part" >&2; exit 1; }

# faiss-cpu and faiss-gpu own the same module: who has put faiss-gpu into the environment keeps it.
$(STAMP): setup.cfg setup.py pyproject.toml $(wildcard requirements/*.txt) | $(RUN)
	@echo "== Installing requirements into $(VENV) (minutes and some GB the first time, PyTorch above all)"
	@set -o pipefail; faiss=cpu; if $(PIP) show -q faiss-gpu 2> /dev/null; then faiss=gpu; fi; \
	$(PIP) install --progress-bar off -c requirements/tested.txt -r requirements/mminstall.txt \
	    -r requirements/runtime.txt -r requirements/$$faiss.txt -r requirements/encoders.txt -r requirements/tests.txt \
	    | $(PROGRESS)
	@echo "== Installing mmvice itself, from this folder"
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@
