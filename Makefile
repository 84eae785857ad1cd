# make demo   the main job: model, then vLLM's own order, TRAIL and lengthwise on vLLM
# make test   lint, fast tests, then the tests on the real engine: vLLM 0.31, then all on 0.32
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# vLLM as it was, alone in a folder that goes first on the path: all that it needs is shared.
OLDER := $(VENV)/vllm-0.31

# What each version's tests found, for README's table.
FOUND := .cache/versions

.PHONY: demo test test-older test-fast fuzz lint bench gpu-check versions dashboard setup clean

demo: $(READY)
	$(BIN)/lengthwise demo

# Two at a time, each file's tests in one process: engines keep to a core each.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(READY) lint test-older
	$(PYTEST) --junit-xml=$(FOUND)/0.32.xml

# What touches the parts in which versions of vLLM differ: tests marked "versions".
test-older: $(OLDER)/.ready
	PYTHONPATH=$(abspath $(OLDER))$${PYTHONPATH:+:$$PYTHONPATH} \
	  $(PYTEST) -m versions --junit-xml=$(FOUND)/0.31.xml

# README's table of versions, from what `make test` has found.
versions: $(READY)
	$(BIN)/python tests/supported.py $(FOUND) README.md

# The Grafana dashboard that the package ships, built anew.
dashboard: $(READY)
	$(BIN)/python dashboards/grafana.py

test-fast: $(READY)
	$(PYTEST) -m "not engine"

# Property tests draw the same examples every time; here they draw new ones.
fuzz: $(READY)
	$(PYTEST) -m "not engine" --hypothesis-profile fuzz

lint: $(READY)
	$(BIN)/ruff check src tests gpu dashboards
	$(BIN)/ruff format --check src tests gpu dashboards
	$(BIN)/mypy
	MYPYPATH=gpu $(BIN)/mypy gpu/engine.py gpu/check.py
	MYPYPATH=dashboards $(BIN)/mypy dashboards/grafana.py

bench: $(READY)
	$(BIN)/lengthwise bench "$$($(BIN)/lengthwise model)" --predictor builtin --held-out \
	  --policies stock,lengthwise,lengthwise@none,fcfs,sjf,trail,oracle --loads 0.5,0.8,1.1

# With a python in which vLLM for GPUs is installed; with PYTHON=.venv/bin/python a rehearsal.
gpu-check:
	PYTHONPATH=src $(PYTHON) gpu/check.py --out results/gpu-check

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
	@command -v chromium >/dev/null 2>&1 \
	  || (apt-get update -qq && apt-get install -y -qq chromium) \
	  || echo "note: without chromium the tests of reports in a browser are skipped"
	@command -v promtool >/dev/null 2>&1 \
	  || (apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus) \
	  || echo "note: without Debian's prometheus the tests of metrics and alerts are skipped"
	touch $@

$(OLDER)/.ready: requirements/vllm-0.31.txt $(READY)
	$(BIN)/pip install --no-deps --upgrade --target $(OLDER) -r requirements/vllm-0.31.txt
	touch $@

clean:
	rm -rf $(VENV) .cache results build
