# Everything that a developer runs. Needs Python 3.11, make and the package index; nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test test-postgresql chaos check bench sbom docs fmt clean train-cxr

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --editable examples/plugins/exposure --editable examples/plugins/employee-badge
	touch $(READY)

demo: setup            ## a real study through the whole flow, on this machine
	@$(BIN)/osler demo $(DEMO)

test: setup            ## all tests; what needs a missing peer is skipped with the reason
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests examples/plugins

chaos: setup           ## faults over a mixed load: make chaos FAULTS=1000 SEED=1; the report: build/chaos
	PYTHONPATH=tests $(BIN)/python -m chaos.run --faults $(or $(FAULTS),1000) --seed $(or $(SEED),1) $(CHAOS)

test-postgresql: setup ## the acceptance tests with every hub on PostgreSQL
	OSLER_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 --dist loadgroup tests/acceptance

check: setup           ## format, lint, types, import rules, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs bench examples README.md CHANGELOG.md DEVELOPERS.md

bench: setup           ## ratios against named peers, measured in the same run
	$(BIN)/python bench/receive.py
	$(BIN)/python bench/deidentify.py
	$(BIN)/python bench/end_to_end.py

sbom:                  ## what the wheel brings along, as a CycloneDX document: build/osler.cdx.json
	rm -rf build/sbom && $(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet .
	$(PYTHON) -m venv build/cyclonedx && build/cyclonedx/bin/python -m pip install --quiet 'cyclonedx-bom>=7,<8'
	build/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o build/osler.cdx.json build/sbom

docs: setup            ## write the generated reference pages again
	$(BIN)/python docs/generate.py

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-cxr: setup       ## train the chest model again: make train-cxr DATA=folder
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	$(BIN)/python -m osler.models.cxr.train --data $(DATA) --out src/osler/models/cxr/weights

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
