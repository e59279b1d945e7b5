# On a machine with Python 3.11 and Node >= 20, `make start` and `make test` install the rest.

PYTHON ?= python3.11
export PYTHON

TOOLS := need-python .venv/.installed
EVERYTHING := need-python need-node .venv/.installed functions/venv/.installed node_modules/.installed
PIP_INSTALL := -m pip install --disable-pip-version-check --progress-bar off --requirement
# pip's lines, a dot each: enough to see that it moves.
DOTS := awk '{ printf "."; fflush() } END { print "" }'
# npm's downloads likewise, and the rest of what it says.
NPM_DOTS := awk '/^npm http/ { printf "."; fflush(); next } /^npm (warn|notice)/ { next } { print }'
SHELL := bash

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help start test doctor report audit repair crashes fuzz simulate mutants bench-report bench-queue bench-anomalies seed lint format docs lock clean need-python need-node

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 25

start: $(EVERYTHING) ## run the Firebase emulators with the functions and the seed
	@.venv/bin/python -m tools.emulators.start

test: $(EVERYTHING) ## run all tests, those under the real Firebase CLI included
	@.venv/bin/python -m pytest --numprocesses 2

doctor: ## list what is needed, what was found and what to do
	@python3 -m tools.doctor

report: $(TOOLS) ## print the weekly report of the running suite, and write it with charts [WEEK=2026-W45]
	@PYTHONPATH=functions .venv/bin/python -m tools.report $(WEEK)

audit: $(TOOLS) ## prove that no credit was lost or invented, in the running suite [PROJECT=a-deployed-one]
	@PYTHONPATH=functions .venv/bin/python -m tools.audit $(PROJECT)

repair: $(TOOLS) ## put books right, as docs/runbook.md says [ARGS="rebuild user-100"]
	@PYTHONPATH=functions .venv/bin/python -m tools.repair $(ARGS)

crashes: $(EVERYTHING) ## kill real processes in the middle of 25 generations, and audit
	@FULL=1 .venv/bin/python -m pytest -s tests/e2e/test_crashes.py

fuzz: $(EVERYTHING) ## send thousands of generated calls, valid and invalid, and check each answer
	@FULL=1 .venv/bin/python -m pytest -s tests/fuzz

simulate: $(TOOLS) ## simulate clients and faults in many worlds [SEEDS=100000], or replay one [SEED=17]
	@PYTHONPATH=functions .venv/bin/python -m tools.simulate $(if $(SEED),--seed $(SEED),$(SEEDS))

mutants: $(TOOLS) ## try every mutant of the money path and write docs/mutants.md
	@PYTHONPATH=functions .venv/bin/python -m tools.mutants

bench-report: $(TOOLS) ## measure what the report of a busy week costs and write docs/benchmarks.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.report

bench-queue: $(EVERYTHING) ## measure how fast queued requests drain and write docs/benchmarks.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.queue

bench-anomalies: $(TOOLS) ## compare the anomaly detector with simpler ones and write docs/anomalies.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.anomalies

seed: $(EVERYTHING) ## write emulator-seed/ anew
	@PYTHONPATH=functions .venv/bin/python -m tools.seed

lint: $(TOOLS) ## check style, formatting and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

format: $(TOOLS) ## format the code and fix what can be fixed
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

docs: $(TOOLS) ## write the generated documents and parts of the README anew
	@PYTHONPATH=functions .venv/bin/python -m tools.docs

lock: $(TOOLS) ## pin the requirements anew, after a change of a requirements.in
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 functions/requirements.in -o functions/requirements.txt
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## remove everything that make installed or that was written while running
	rm -rf .venv functions/venv node_modules .local .firebase .firebase.*.json *-debug.log
	rm -rf .coverage* .pytest_cache .mypy_cache .ruff_cache
	find functions simulation tests tools -name __pycache__ -prune -exec rm -rf {} +

# Installation. A stamp is written last, so an install that broke off is done again, from scratch.

.venv/.installed: requirements-dev.txt
	@echo 'Installing the development tools into .venv (about a minute)'
	@$(PYTHON) -m venv --clear .venv
	@set -o pipefail; .venv/bin/python $(PIP_INSTALL) requirements-dev.txt | $(DOTS)
	@touch $@

functions/venv/.installed: functions/requirements.txt
	@echo 'Installing what the functions import into functions/venv (about half a minute)'
	@$(PYTHON) -m venv --clear functions/venv
	@set -o pipefail; functions/venv/bin/python $(PIP_INSTALL) functions/requirements.txt | $(DOTS)
	@touch $@

node_modules/.installed: package-lock.json package.json
	@echo 'Installing the Firebase CLI into node_modules (1 to 3 minutes)'
	@set -o pipefail; npm ci --no-fund --no-audit --loglevel=http 2>&1 | $(NPM_DOTS)
	@touch $@

need-python:
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo '"$(PYTHON)" is not Python 3.11 with its venv module. Install that' \
		'(https://www.python.org/downloads; on Debian and Ubuntu: apt-get install python3.11-venv),' \
		'or name yours: make PYTHON=/path/to/python3.11' >&2; exit 1; }

need-node:
	@{ node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version; } \
		>/dev/null 2>&1 || { echo 'Node 20 or newer with npm is needed:' \
		'https://nodejs.org/en/download' >&2; exit 1; }
