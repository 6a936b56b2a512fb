# PYTHON=/path/to/python3 chooses the Python to set up with, VENV another folder for it; ARGS is passed on to pytest.
.DEFAULT_GOAL := help
.PHONY: help setup run demo check test test-postgresql coverage lint lock words bench soak screens
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
# Without Schemathesis, whose import alone takes a second in each process: its tests are of another tier.
QUICK_TIERS := tests/unit tests/db -n auto --maxprocesses 4 -p no:schemathesis
# Of the branches, in percent, as measured; the engine in streaming/ runs in processes, which are not measured.
PRICES_FLOOR := 96
STREAMING_FLOOR := 78
TYPESCRIPT := tests/support/typescript/node_modules/.package-lock.json

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/installed ## make .venv and install what the product needs

run: setup ## run the product
	@exec $(BIN)/python manage.py up --with-parent $$PPID

demo: export SWARNA_STATE_DIR = var/demo
demo: export DATABASE_URL =
demo: export REDIS_URL =
demo: export PRICE_PROVIDERS = simulated
demo: export CONSENSUS_SOURCES = 0
demo: export PRICE_UPDATE_INTERVAL = 1000
demo: setup ## the same with a simulated market, one publication a second, and a state folder of its own
	@exec $(BIN)/python manage.py up --with-parent $$PPID

# Byte code is kept, whatever the environment says: to compile the tests anew takes as long as to run half of them.
check coverage: export PYTHONDONTWRITEBYTECODE =
check: lint ## lint, and run the tests that start no processes: about two minutes
	@$(BIN)/python -m pytest $(QUICK_TIERS) --hypothesis-profile=quick $(ARGS)

test: TESTS := pytest
test: $(VENV)/installed-dev $(TYPESCRIPT) ## run the tests; without Chromium, nginx or npm, those that need it are skipped

test-postgresql: TESTS := tests.support.postgresql
test-postgresql: $(VENV)/installed-dev $(TYPESCRIPT) ## run them on PostgreSQL, which comes along, in place of SQLite

test test-postgresql:
	@for browser in "$$CHROMIUM" chromium-headless-shell chromium chromium-browser google-chrome; do \
		command -v "$$browser" > /dev/null && exit; \
	done; $(BIN)/python -m playwright install chromium || true
	@$(BIN)/python -m $(TESTS) -n auto --maxprocesses 4 $(ARGS)

coverage: $(VENV)/installed-dev ## measure branch coverage by those tests; prices/ and streaming/ each have a floor
	@$(BIN)/python -m pytest $(QUICK_TIERS) --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report --include='prices/*' --fail-under=$(PRICES_FLOOR)
	@$(BIN)/coverage report --include='streaming/*' --fail-under=$(STREAMING_FLOOR)

lint: $(VENV)/installed-dev $(TYPESCRIPT) ## check style, spelling, types, and the direction of imports
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/python -m mypy .
	@if [ -e $(TYPESCRIPT) ]; then npm run --silent --prefix tests/support/typescript lint; \
	else echo "JavaScript was not checked: that needs Node with npm." >&2; [ -z "$$REQUIRE_TYPESCRIPT" ]; fi

lock: $(VENV)/installed-dev ## compile requirements*.in to every version and hash; UPGRADE=1 takes newer ones
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
			--custom-compile-command "make lock" --output-file $$name.txt $$name.in || exit; \
	done

words: $(VENV)/installed-dev ## bring the translations in locale/ to what code and templates say, and compile them
	@DJANGO_SETTINGS_MODULE=swarna.settings $(BIN)/python -m tests.support.words

bench: setup ## measure the stream beside other servers; ROWS=plain,memory QUICK=1 OUT=page
	@$(BIN)/python -m bench --rows='$(ROWS)' --out='$(OUT)' $(if $(QUICK),--quick)

soak: setup ## 2,000 clients that come and go, for MINUTES=10: does anything grow, do they receive anything wrong?
	@$(BIN)/python -m bench --soak='$(or $(MINUTES),10)' $(if $(QUICK),--quick)

screens: $(VENV)/installed-dev ## take the pictures of docs/screens, in a real Chromium
	@REQUIRE_BROWSER=1 $(BIN)/python -m pytest -n 0 -q tests/browser/screens.py

# The first Python that is new enough and can make environments; when there is none, the last reason is shown.
$(BIN)/python:
	@reason="none was found"; \
	for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2> /dev/null && exec "$$python" -m venv --clear $(VENV); \
		reason="$$python cannot make environments (on Debian and Ubuntu: apt install python3-venv)"; \
	done; \
	echo "Swarna needs Python 3.11, 3.12 or 3.13: $$reason. To name one: make $(MAKECMDGOALS) PYTHON=..." >&2; \
	exit 1

# What went wrong is in one line; pip's own many are kept beside it.
install = $(PIP) -r $(1) > $(VENV)/install.log 2>&1 || { \
	reason=$$(grep '^ERROR: ' $(VENV)/install.log | tail -1); \
	echo "$(1) could not be installed (is the network there?): $${reason\#ERROR: } More in $(VENV)/install.log" >&2; exit 1; }

$(VENV)/installed: requirements.txt $(BIN)/python
	@echo "Installing what the product needs into $(VENV) ..."
	@$(call install,requirements.txt)
	@touch $@

$(TYPESCRIPT): tests/support/typescript/package-lock.json tests/support/openapi_typescript/package-lock.json
	@command -v npm > /dev/null || exit 0; \
	echo "Installing TypeScript and Biome ..."; \
	npm ci --prefix tests/support/openapi_typescript --no-audit --no-fund --silent && \
	npm ci --prefix tests/support/typescript --no-audit --no-fund --silent && touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "Installing what tests need into $(VENV) ..."
	@$(call install,requirements-dev.txt)
	@touch $@
