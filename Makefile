# You need Python 3.11 and Node >= 20. `make start` and `make test` install the rest.

PYTHON ?= python3.11
export PYTHON

TOOLS := need-python .venv/.installed
EVERYTHING := need-python need-node installed
SHELL := bash
# The emulator starts a process for each call. Without cached bytecode, each process compiles a thousand modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Run the given targets one after the other. Only the installation runs in parallel.
ifeq ($(MAKELEVEL),0)
.NOTPARALLEL:
endif
.PHONY: help start console test doctor report logs audit ops restore-drill deploy-check catalog repair crashes siege fuzz browser simulate mutants bench-requests bench-report bench-queue bench-anomalies bench-images seed placeholders lint format docs examples lock clean installed need-python need-node

help: ## list all commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 25

start: $(EVERYTHING) ## run the Firebase emulators with the functions and the sample data
	@.venv/bin/python -m tools.emulators.start

console: need-node node_modules/.installed ## build the web console again, while the emulators run
	@node console/build.mjs

test: $(EVERYTHING) ## run all tests; choose files, a date or an order [TESTS=tests/e2e] [DATE=2028-02-29T23:59] [SEED=17]
	@.venv/bin/python $(if $(DATE),-m tools.on_date $(DATE) .venv/bin/python) -m pytest --numprocesses 2 \
		$(if $(SEED),--order-seed $(SEED)) $(TESTS)

doctor: ## list the requirements, and how to install the missing ones
	@python3 -m tools.doctor

report: $(TOOLS) ## run, print and draw the weekly report of the running emulators [WEEK=2026-W45]
	@PYTHONPATH=functions .venv/bin/python -m tools.report $(WEEK)

logs: $(TOOLS) ## print the life of a request in the running emulators [REQUEST=ID]
	@PYTHONPATH=functions .venv/bin/python -m tools.logs $(REQUEST)

audit: $(TOOLS) ## check every credit in the running emulators or in a deployed project [PROJECT=YOUR-PROJECT DATABASE=drill]
	@PYTHONPATH=functions .venv/bin/python -m tools.audit $(PROJECT) $(if $(DATABASE),--database=$(DATABASE))

ops: $(TOOLS) ## set up alerts, a dashboard and backups of a deployed project [PROJECT=YOUR-PROJECT CHANNELS=… DRY_RUN=1]
	@.venv/bin/python -m tools.ops $(PROJECT) $(if $(CHANNELS),--channels=$(CHANNELS)) $(if $(DRY_RUN),--dry-run)

restore-drill: $(TOOLS) ## rehearse a restore: export the running emulators, import, audit and compare
	@PYTHONPATH=functions .venv/bin/python -m tools.restore_drill

deploy-check: $(EVERYTHING) ## check what can be known before a deploy, and print what it would create [PROJECT=YOUR-PROJECT]
	@PYTHONPATH=functions .venv/bin/python -m tools.deploy_check $(PROJECT)

catalog: $(TOOLS) ## write the catalog of a new project from seed/catalog.json [PROJECT=YOUR-PROJECT]
	@PYTHONPATH=functions .venv/bin/python -m tools.catalog $(PROJECT)

repair: $(TOOLS) ## repair a finding of the audit, as in docs/runbook.md [ARGS="rebuild user-100"]
	@PYTHONPATH=functions .venv/bin/python -m tools.repair $(ARGS)

crashes: $(EVERYTHING) ## kill real processes during 25 generations, and audit; end `make start` in several ways
	@FULL=1 .venv/bin/python -m pytest -s tests/e2e/test_crashes.py tests/e2e/test_start_variants.py

siege: $(EVERYTHING) ## attack production-like servers beside honest calls, for about two minutes
	@PYTHONPATH=functions .venv/bin/python -m tools.siege

fuzz: $(EVERYTHING) ## send thousands of valid and invalid calls, and check each answer
	@FULL=1 .venv/bin/python -m pytest -s tests/fuzz

browser: $(EVERYTHING) ## use the console in the system's Chromium, light, dark and on a phone, and take pictures
	@FULL=1 .venv/bin/python -m pytest -s tests/e2e/browser

simulate: $(TOOLS) ## run the simulation with many seeds [SEEDS=100000], or replay one seed [SEED=17]
	@PYTHONPATH=functions .venv/bin/python -m tools.simulate $(if $(SEED),--seed $(SEED),$(SEEDS))

mutants: $(TOOLS) ## try all planted bugs and write docs/mutants.md
	@PYTHONPATH=functions .venv/bin/python -m tools.mutants

bench-requests: $(EVERYTHING) ## compare the cost of calls with the least that could work, and write docs/benchmarks.md [PAIRS=3]
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.requests $(PAIRS)

bench-report: $(TOOLS) ## measure the cost of a weekly report and write docs/benchmarks.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.report

bench-queue: $(EVERYTHING) ## measure the speed of the queue and write docs/benchmarks.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.queue

bench-anomalies: $(TOOLS) ## compare the anomaly detector with simpler ones and write docs/anomalies.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.anomalies

bench-images: $(TOOLS) ## measure encoding and storing images and write docs/benchmarks.md
	@PYTHONPATH=functions .venv/bin/python -m tools.bench.images

seed: $(EVERYTHING) ## write emulator-seed/ from seed/
	@PYTHONPATH=functions .venv/bin/python -m tools.seed

placeholders: $(TOOLS) ## draw the images of the mock models
	@PYTHONPATH=functions .venv/bin/python -m tools.placeholders

lint: $(TOOLS) need-node node_modules/.installed ## check style, formatting and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@node_modules/.bin/tsc --project console

format: $(TOOLS) ## format the code and fix simple problems
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

docs: $(TOOLS) ## write the generated parts of the docs
	@PYTHONPATH=functions .venv/bin/python -m tools.docs

examples: $(EVERYTHING) ## run the examples of the docs, and write their answers, the report's chart and the picture of the console
	@PYTHONPATH=functions .venv/bin/python -m tools.docs.examples

lock: $(TOOLS) ## pin the dependencies, after a change of a requirements.in
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 functions/requirements.in -o functions/requirements.txt
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## remove everything that was installed or written while running
	rm -rf .venv functions/venv node_modules .local .firebase .firebase.*.json hosting/console *-debug.log
	rm -rf .coverage* .pytest_cache .mypy_cache .ruff_cache
	find functions simulation tests tools -name __pycache__ -prune -exec rm -rf {} +

# Installation. The file .installed is written last, so an interrupted installation starts again from scratch.

QUIETLY := $(PYTHON) -m tools.quietly
# Install with uv, or with pip if uv fails. uv does not read pip's configuration, so it gets pip's index here.
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
	@echo 'Installing the packages of the functions into functions/venv'
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
		'or name your own: make PYTHON=/path/to/python3.11' >&2; exit 1; }

need-node:
	@{ node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version; } \
		>/dev/null 2>&1 || { echo 'Node 20 or newer with npm is needed:' \
		'https://nodejs.org/en/download' >&2; exit 1; }
