# make demo   the main job: model, then vLLM's own order, TRAIL and lengthwise on vLLM
# make test   lint, fast tests, then the tests on the real engine
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-fast lint bench setup clean

demo: $(READY)
	$(BIN)/lengthwise demo

# Two at a time, each file's tests in one process: engines keep to a core each.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(READY) lint
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m "not engine"

lint: $(READY)
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/lengthwise bench "$$($(BIN)/lengthwise model)" --predictor builtin --held-out \
	  --policies stock,lengthwise,lengthwise@none,fcfs,sjf,trail,oracle --loads 0.5,0.8,1.1

setup: $(READY)

# torch must be the CPU build of this version; where the package index has several,
# point pip at PyTorch's CPU index with PIP_EXTRA_INDEX_URL.
$(READY): pyproject.toml requirements/cpu.txt requirements/cpu-no-deps.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install torch==2.13.0
	$(BIN)/pip install -r requirements/cpu.txt
	$(BIN)/pip install --no-deps -r requirements/cpu-no-deps.txt
	$(BIN)/pip install --no-deps -e .
	@ls /usr/lib/*/libtcmalloc_minimal.so.4 >/dev/null 2>&1 \
	  || (apt-get update -qq && apt-get install -y -qq libtcmalloc-minimal4) \
	  || echo "note: without Debian's libtcmalloc-minimal4 the CPU engine is slower"
	touch $@

clean:
	rm -rf $(VENV) .cache results build
