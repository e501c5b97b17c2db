# make demo       everything once, offline, on two CPU cores, in about ten minutes -> runs/demo/report.html
# make test       lint, import contracts and the quick tests
# make test-all   these and the slow tests, which are also `make test-slow`
# make test-slurm jobs on the cluster that tests/slurm/start_cluster.sh starts
# make test-browser the page and the reports in Chromium
# make check-gpu  training and editing on one GPU, planned for ten minutes -> runs/check_gpu/results.md
# Each sets up .venv by itself; the second time that is quick.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo check-demo test test-all test-slow test-slurm test-browser check-gpu lint format clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/python data_prep/render_demo.py --output runs/demo
	$(BIN)/python data_prep/render_world.py --output runs/demo/world --stills 0 --clips 0 \
	    --sets '{reference: 6, parts: 0, text: 0, motion: 0, video: 0, surface: 0}'
	$(BIN)/python data_prep/shard_videos.py --config configs/data/demo_videos.yaml
	$(BIN)/python data_prep/shard_videos.py --config configs/data/demo_heldout.yaml
	$(BIN)/python data_prep/shard_sam.py --config configs/data/demo_stills.yaml
	$(BIN)/python train.py --config configs/train/tiny.yaml
	$(BIN)/python evaluate.py --config configs/eval/tiny.yaml

# Fails where the demo's network does not imitate.
check-demo: $(READY)
	$(BIN)/python -m pytest -m demo tests/test_demo.py

# worksteal: a worker has neighbouring tests, so that what a module or folder shares is made once, not once per worker.
test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: test test-slow

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow -n auto --dist worksteal

test-slurm: $(READY)
	$(BIN)/python -m pytest -m slurm tests/slurm

test-browser: $(READY)
	$(BIN)/python -m pytest -m browser -n auto --dist worksteal tests/demo tests/reports

check-gpu: $(READY)
	$(BIN)/python -m mimicbrush.bench gpu

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs/demo

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
