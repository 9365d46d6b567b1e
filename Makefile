# Two commands: `make run` and `make test`. Everything they need is set up first, once.
PYTHON ?= python3
PORT   ?= 8000
PG     ?= wheel
ONLY   ?=
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test check bench faults fix lock clean setup browser pgbouncer

run: setup
	@$(BIN)/zhigu sandbox --port $(PORT)

test: setup browser pgbouncer
	ZHIGU_TEST_PG=$(PG) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup
	$(BIN)/ruff format --check app tests
	$(BIN)/ruff check app tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/test_house_style.py

bench: setup
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

faults: setup
	ZHIGU_TEST_PG=$(PG) $(BIN)/python -m tests.faults $(ARGS)

fix: setup
	$(BIN)/ruff format app tests
	$(BIN)/ruff check --fix app tests

lock: setup
	$(PYTHON) -m pip install --quiet --target $(VENV)/uv uv
	$(VENV)/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml -o requirements/run.txt
	$(VENV)/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml deploy/setup
	@PYTHON=$(PYTHON) sh deploy/setup $(VENV)
	@touch $@

browser:
	@sh deploy/browser

pgbouncer:
	@sh deploy/pgbouncer

clean:
	rm -rf $(VENV) var .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
