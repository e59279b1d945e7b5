# On a machine with Python 3.11 and Node >= 20, `make start` and `make test` install the rest.

PYTHON ?= python3.11
export PYTHON

TOOLS := need-python .venv/.installed
EVERYTHING := need-python need-node installed
SHELL := bash
# Each call of a function starts a process: without cached bytecode, it would compile a thousand modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# One command after the other; what they need is installed side by side.
ifeq ($(MAKELEVEL),0)
.NOTPARALLEL:
endif
.PHONY: help start test doctor report audit repair crashes fuzz simulate mutants bench-report bench-queue bench-anomalies seed lint format docs examples lock clean installed need-python need-node

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 25

start: $(EVERYTHING) ## run the Firebase emulators with the functions and the seed
	@.venv/bin/python -m tools.emulators.start

test: $(EVERYTHING) ## run all tests, or some, on any date [TESTS=tests/e2e] [DATE=2028-02-29T23:59] [SEED=17]
	@.venv/bin/python $(if $(DATE),-m tools.on_date $(DATE) .venv/bin/python) -m pytest --numprocesses 2 \
		$(if $(SEED),--order-seed $(SEED)) $(TESTS)

doctor: ## list what is needed, what was found and what to do
	@python3 -m tools.doctor

report: $(TOOLS) ## print the weekly report of the running suite, and write it with charts [WEEK=2026-W45]
	@PYTHONPATH=functions .venv/bin/python -m tools.report $(WEEK)

audit: $(TOOLS) ## prove that no credit was lost or invented, in the running suite [PROJECT=a-deployed-one]
	@PYTHONPATH=functions .venv/bin/python -m tools.audit $(PROJECT)

repair: $(TOOLS) ## repair a finding of the audit, as in docs/runbook.md [ARGS="rebuild user-100"]
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

docs: $(TOOLS) ## write the generated parts of the docs
	@PYTHONPATH=functions .venv/bin/python -m tools.docs

examples: $(EVERYTHING) ## run the examples of the docs, and write their answers and the report's chart
	@PYTHONPATH=functions .venv/bin/python -m tools.docs.examples

lock: $(TOOLS) ## pin the requirements anew, after a change of a requirements.in
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 functions/requirements.in -o functions/requirements.txt
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## remove everything that make installed or that was written while running
	rm -rf .venv functions/venv node_modules .local .firebase .firebase.*.json *-debug.log
	rm -rf .coverage* .pytest_cache .mypy_cache .ruff_cache
	find functions simulation tests tools -name __pycache__ -prune -exec rm -rf {} +

# Installation. A stamp is written last, so an install that broke off is done again, from scratch.

QUIETLY := $(PYTHON) -m tools.quietly
# uv, or pip where uv cannot. uv does not read pip's configuration, so it is told pip's index.
PIP_INDEX = .venv/bin/python -m pip config list | sed -n "s/.*\.index-url='\(.*\)'/\1/p" | tail -n 1
install = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(PIP_INDEX))}" \
	$(QUIETLY) .venv/bin/uv pip install --python $(1) --requirement $(2) \
	|| { echo 'Trying pip'; $(QUIETLY) .venv/bin/python -m pip --python $(1) install --requirement $(2); }

installed: need-python need-node
	@$(MAKE) --silent --jobs=2 .venv/.installed functions/venv/.installed node_modules/.installed

.venv/.installed: requirements-dev.txt
	@echo 'Installing the development tools into .venv'
	@rm -rf .venv
	@$(QUIETLY) $(PYTHON) -m venv .venv
	@$(QUIETLY) .venv/bin/python -m pip install $$(grep '^uv==' requirements-dev.txt)
	@$(call install,.venv,requirements-dev.txt)
	@touch $@
	@printf '\n.venv is installed\n'

functions/venv/.installed: functions/requirements.txt | .venv/.installed
	@echo 'Installing what the functions import into functions/venv'
	@rm -rf functions/venv
	@$(QUIETLY) $(PYTHON) -m venv --without-pip functions/venv
	@$(call install,functions/venv,functions/requirements.txt)
	@touch $@
	@printf '\nfunctions/venv is installed\n'

node_modules/.installed: package-lock.json package.json
	@echo 'Installing the Firebase CLI into node_modules'
	@rm -rf node_modules
	@$(QUIETLY) npm ci
	@touch $@
	@printf '\nnode_modules is installed\n'

need-python:
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo '"$(PYTHON)" is not Python 3.11 with its venv module. Install that' \
		'(https://www.python.org/downloads; on Debian and Ubuntu: apt-get install python3.11-venv),' \
		'or name yours: make PYTHON=/path/to/python3.11' >&2; exit 1; }

need-node:
	@{ node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version; } \
		>/dev/null 2>&1 || { echo 'Node 20 or newer with npm is needed:' \
		'https://nodejs.org/en/download' >&2; exit 1; }
