# make demo: install, then every stage on the embedded corpus. make test: install, then the tests.
# make bench: install, then every ratio against the plain way. make results: the page of all results.
PYTHON ?= python3
# For a GPU build or a slimmer CPU build, see the README: TORCH="torch==2.13.0 --index-url ..."
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test bench results lint clean

demo: .venv/installed
	$(BIN)/attnreplace run --run runs/demo --pair en-de --set training.validation_sentences=100 \
		--method all --size xs,m --family shallow_ff --sites encoder --set distill.epochs=2 \
		--set "evaluate.beams=[1]" --set 'evaluate.test_sets=["test"]'
	@echo 'the program is in .venv/bin; to call it by its name: . $(BIN)/activate'

test: .venv/installed
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2

bench: .venv/installed
	OMP_WAIT_POLICY=passive $(BIN)/python -m benchmarks

results: .venv/installed
	$(BIN)/attnreplace results --readme README.md

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
# timm is an oracle for the tests; without torchvision, which has to match torch's build.
	$(BIN)/python -m pip install --quiet --no-deps "timm>=1.0.20"
	touch $@

clean:
	rm -rf .venv runs/demo
