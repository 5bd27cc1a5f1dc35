# Each target first installs into .venv what it needs, when pyproject.toml or constraints.txt changed. Python 3.11 or newer, git and make suffice.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
TEST := $(VENV)/.test
DEV := $(VENV)/.dev
BENCH := .venv-bench
PROFILE ?= quick
ONLY ?=
MINUTES ?= 10
SEED ?= 0
# Tests run in this many processes.
JOBS ?= 2
PYTEST := $(PY) -m pytest -q -n $(JOBS) --dist worksteal

.PHONY: setup report test test-slow test-browser book publish pages verify audit claims bench lint format pairs clean

# Values reach the commands as they were typed, through the environment: make would expand a $, the shell a quote.
ASKED := PROFILE ONLY PREDICTIONS TABLE DATASET MODEL RENAME BY MINUTES SEED TRIM_PREFIX TRIM_SUFFIX KEEP_SHARED_ENDS
$(foreach name,$(ASKED),$(eval override export $(name) := $$(value $(name))))
# Of names in ONLY each is a word, and nothing more.
WORDS := set -f;

report: $(READY)
	$(WORDS) $(PY) -m lib.report "$$PROFILE" $$ONLY

test: $(TEST)
	$(PYTEST) -m "not slow and not browser"

test-slow: $(TEST)
	$(PYTEST) -m slow

test-browser: $(TEST)
	$(PY) -m pytest -q -m browser tests/book

book: $(READY)
	$(VENV)/bin/jupyter-book build book/ -n -W --keep-going

publish: $(READY)
	$(WORDS) $(PY) -m lib.report publish $$ONLY

# The published pages again, from the published tables alone.
pages: $(READY)
	$(WORDS) $(PY) -m lib.report pages $$ONLY

# A sample of the published units is computed again, for about so many minutes; another SEED draws another sample.
verify: $(READY)
	$(PY) -m lib.report verify --minutes="$$MINUTES" --seed="$$SEED"

audit: $(READY)
	@SHIFT_CALLER=make $(PY) -m lib.audit --predictions="$$PREDICTIONS" --table="$$TABLE" \
		--dataset="$$DATASET" --model="$$MODEL" --rename="$$RENAME" --by="$$BY" \
		--trim-prefix="$$TRIM_PREFIX" --trim-suffix="$$TRIM_SUFFIX" \
		--keep-shared-ends="$$KEEP_SHARED_ENDS" --profile="$$PROFILE"

claims: $(READY)
	$(PY) -m lib.claims

bench: $(BENCH)/.ready
	for script in benchmarks/*.py; do $(BENCH)/bin/python $$script || exit 1; done

lint: $(DEV)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(DEV)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

pairs: $(READY)
	$(PY) -m jupytext --update --to ipynb notebooks/*.md

clean:
	rm -rf runs book/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -c constraints.txt -e .
	@touch $@

# The extras of pyproject.toml, each when a target first asks for it.
$(TEST) $(DEV): $(VENV)/.%: $(READY)
	$(PY) -m pip install -q -c constraints.txt -e '.[$*]'
	@touch $@

# The peers of the benchmarks have an environment of their own.
$(BENCH)/.ready: $(READY) benchmarks/peers.txt
	$(PY) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install -q -c constraints.txt -e '.[test]'
	$(BENCH)/bin/python -m pip install -q -r benchmarks/peers.txt
	@touch $@
