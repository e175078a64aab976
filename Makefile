# Two commands do everything from a fresh clone: `make run` and `make test`. Each sees to what it needs.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
BUILD := build
# `make run ARGS="--http-port 9000"`
ARGS ?=
# Datagrams that `make mutants` sends.
MUTANTS ?= 10000000
# Minutes of `make test` without set-up: past the first it says so, past the second it fails.
WARN_S := 720
FAIL_S := 2700
QUIETLY := -q --disable-pip-version-check
# What the extensions are built with, which the package itself does not need; in pyproject.toml too.
BUILT_WITH := "setuptools>=77" wheel "Cython>=3.1,<4" "numpy>=2.2,<3"
NPM := $(BUILD)/foreign/npm.stamp $(BUILD)/wrtc/npm.stamp
KERNEL := $(shell find sfu -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -path 'sfu/wire/*.py' -o -path 'sfu/routing/kernel/*.py')

.PHONY: help run test check test-all long thorough asan mutants postgresql far-clock mutation rule-coverage broken-guards accept-meeting accept-accounts accept-billing bench docs lock clean setup setup-test python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## set up all that is missing, then serve the page at http://localhost:8080 (ARGS="--http-port 9000")
	@exec $(BIN)/stentor serve --dev $(ARGS)

test: setup-test ## set up, lint, check types, test the page and the server (about twenty minutes)
	@start=$$(date +%s); \
	timeout --foreground --kill-after=30 $(FAIL_S) $(MAKE) --no-print-directory check || { code=$$?; \
		[ $$code -ne 124 ] || echo "make test took longer than $(FAIL_S) s and was stopped: something hangs, or the tests have grown too slow" >&2; \
		exit $$code; }; \
	took=$$(($$(date +%s) - start)); \
	[ $$took -le $(WARN_S) ] || echo "WARNING: make test took $$took s; the limit of comfort is $(WARN_S) s" >&2; \
	echo "make test: all passed in $$took s"

# Not for calling by hand: `make test` without its set-up and its clock.
check:
	@echo "ruff" && $(BIN)/ruff check --quiet .
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@echo "tsc" && tsc -p web/jsconfig.json
	@echo "node --test" && node --test web/tests >$(BUILD)/node-test.txt 2>&1 || { cat $(BUILD)/node-test.txt; exit 1; }
	@echo "pytest, two processes" && $(BIN)/pytest -q -n 2 --dist loadfile -m "not alone and not long" --durations=10
	@echo "pytest, what needs the machine alone" && $(BIN)/pytest -q -m "alone and not long" --durations=10

test-all: test long thorough asan mutants postgresql far-clock mutation rule-coverage broken-guards ## make test, long time-outs, all examples, AddressSanitizer, ten million mutants, PostgreSQL, a clock ten years on, planted faults, rules and their guards (before an issue is resolved)

postgresql: setup-test
	@echo "the control plane's tests on PostgreSQL" && STENTOR_TEST_POSTGRESQL=1 $(BIN)/pytest -q -n 2 --dist loadfile tests/control_plane \
		tests/benchmarks/control_plane/test_moved.py

# Left out: those whose media server is a process of its own, with the machine's clock.
far-clock: setup-test
	@echo "the control plane's tests ten years from now" && STENTOR_TEST_YEARS_AWAY=10 $(BIN)/pytest -q \
		-m "not long and not timed" tests/control_plane --ignore=tests/control_plane/test_whole.py \
		--ignore=tests/control_plane/rooms/test_running.py --ignore=tests/control_plane/rooms/test_large.py

long: setup-test
	@echo "tests marked long" && $(BIN)/pytest -q -m long

thorough: setup-test
	@echo "tests with examples of Hypothesis, all of them" && $(BIN)/pytest -q -n 2 --dist loadfile -m "hypothesis and not alone and not long" --hypothesis-profile thorough

# About six minutes, so the dump of a test that hangs must wait; `make test` sends two hundred thousand.
mutants: setup-test
	@STENTOR_MUTANTS=$(MUTANTS) $(BIN)/pytest -q -o faulthandler_timeout=1200 tests/sfu/test_mutants.py

# Faults planted into money, periods, ledger and billing; at least 85 % of them must make a test fail.
mutation: setup-test
	@exec $(BIN)/python -m tests.mutation $(ARGS)

asan: setup-test
	@echo "building the kernel with AddressSanitizer"
	@mkdir -p $(BUILD)
	@STENTOR_SANITIZE=address $(BIN)/python setup.py -q build --build-base $(BUILD)/asan --build-lib $(BUILD)/asan/lib \
		>$(BUILD)/asan.log 2>&1 || { tail -40 $(BUILD)/asan.log; exit 1; }
	@echo "tests marked asan"
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 PYTHONMALLOC=malloc \
		$(BIN)/pytest -q -m asan --hypothesis-profile thorough -o pythonpath="$(BUILD)/asan/lib ."

rule-coverage: setup-test ## write docs/rule-coverage.md: which edge cases of tests/rules.json are proved, and by which test
	@exec $(BIN)/python -m tests.control_plane.rule_coverage $(ARGS)

broken-guards: setup-test ## break 20 guards, one after the other: their tests must fail (ARGS="--seed 7")
	@exec $(BIN)/python -m tests.control_plane.broken_guards $(ARGS)

accept-meeting: setup-test ## every line of "Done when" of the first call that a program can check
	@exec $(BIN)/python -m tests.accept_meeting $(ARGS)

accept-accounts: setup-test ## every line of "Done when" of accounts and rooms that a program can check, with pictures of the pages (ARGS="--story")
	@exec $(BIN)/python -m tests.accept_accounts $(ARGS)

accept-billing: setup-test ## every line of "Done when" of billing that a program can check, with pictures and the ledger (ARGS="--story")
	@exec $(BIN)/python -m tests.accept_billing $(ARGS)

bench: setup-test ## the figures of one server beside a raw sender, about ten minutes on a quiet machine (ARGS="--rows 1,4")
	@exec $(BIN)/python -m benchmarks $(ARGS)

docs: setup ## write docs/protocol.md, docs/configuration.md and docs/api.md again from the code
	@$(BIN)/python -m sfu.signalling.protocol_page
	@$(BIN)/python -m sfu.config_page
	@$(BIN)/python -m sfu.signalling.openapi
	@echo "docs/protocol.md, docs/configuration.md and docs/api.md are written"

lock: python-test ## take the newest Python packages that pyproject.toml allows, and write them down; then make test
	@echo "resolving Python packages anew"
	@rm -rf $(BUILD)/lock && mkdir -p $(BUILD) && $(PYTHON) -m venv $(BUILD)/lock
	@$(BUILD)/lock/bin/pip install $(QUIETLY) $(BUILT_WITH)
	@STENTOR_KERNEL=skip $(BUILD)/lock/bin/pip install $(QUIETLY) --no-build-isolation -e '.[test]'
	@{ echo "# Written by \`make lock\`: what the tests were run with. Ranges are in pyproject.toml."; \
		$(BUILD)/lock/bin/pip freeze --disable-pip-version-check --all --exclude-editable --exclude pip; } >$(BUILD)/constraints.txt
	@mv $(BUILD)/constraints.txt constraints.txt && rm -rf $(BUILD)/lock
	@git diff --stat constraints.txt

clean: ## remove everything that was built, the virtual environment too
	@rm -rf $(BUILD) .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/artifacts *.egg-info
	@find sfu tests benchmarks web setup.py -name __pycache__ -prune -exec rm -rf {} +
	@find sfu -name '*.so' -delete

# Set-up. Each stamp depends on what it was made from, so a second call does nothing.

setup: python $(BUILD)/kernel.stamp

setup-test: python-test $(BUILD)/test.stamp $(NPM) $(BUILD)/kernel.stamp

.PHONY: python-test
python:
	@PYTHON=$(PYTHON) .ci/packages run
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Stentor needs Python 3.11 or newer; $(PYTHON) is %d.%d. Try: make PYTHON=/path/to/python3.12" % sys.version_info[:2])'

python-test: python
	@PYTHON=$(PYTHON) .ci/packages test

$(BIN)/python: | python
	@echo "making the virtual environment"
	@$(PYTHON) -m venv .venv

$(BUILD)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@mkdir -p $(BUILD)
	@echo "installing Python packages"
	@$(BIN)/pip install $(QUIETLY) -c constraints.txt $(BUILT_WITH)
	@STENTOR_KERNEL=skip $(BIN)/pip install $(QUIETLY) -c constraints.txt --no-build-isolation -e .
	@touch $@

$(BUILD)/test.stamp: pyproject.toml $(BUILD)/run.stamp
	@echo "installing Python packages for the tests"
	@STENTOR_KERNEL=skip $(BIN)/pip install $(QUIETLY) -c constraints.txt --no-build-isolation -e '.[test]'
	@touch $@

# Clients of other people, for tests and benchmarks alone; exactly what each lock says, and none of their install scripts.
$(BUILD)/foreign/npm.stamp: tests/foreign/package.json tests/foreign/package-lock.json | python-test
$(BUILD)/wrtc/npm.stamp: benchmarks/wrtc/package.json benchmarks/wrtc/package-lock.json | python-test
$(NPM):
	@echo "installing npm packages for the tests: $(notdir $(@D))"
	@mkdir -p $(@D) && cp $^ $(@D)
	@npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error >$(@D)/npm.log 2>&1 || { tail -40 $(@D)/npm.log; exit 1; }
	@touch $@

$(BUILD)/kernel.stamp: setup.py $(KERNEL) $(BUILD)/run.stamp
	@echo "building the kernel"
	@$(BIN)/python setup.py -q build_ext --inplace >$(BUILD)/kernel.log 2>&1 || { tail -40 $(BUILD)/kernel.log; exit 1; }
	@touch $@
