# Everything a checkout needs. Only Python 3.11 or newer, with its venv module, has to be on the machine:
# uv is brought in through pip, from hashes, into a folder of the project.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?=
BENCH_ARGS ?=

UV := .tools/bin/uv
BIN := .venv/bin
TOOLS_STAMP := .tools/.stamp
SYNC_STAMP := .venv/.synced
VENV_STAMP := .venv/.installed
SANDBOX_STAMP := .mesh-sandbox/.synced
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# A uv set up on this machine for something else must not change what is installed here.
export UV_NO_CONFIG := 1
export UV_PYTHON_DOWNLOADS := never
# Every start of the service imports a few thousand modules; compiled once, that takes a third of the time.
export UV_COMPILE_BYTECODE := 1
# pytest rewrites the tests before it runs them, which takes longer than many of them; kept, that is done once.
unexport PYTHONDONTWRITEBYTECODE
# Hospital networks often look into TLS: trust what the machine trusts, as pip and curl do there.
export UV_SYSTEM_CERTS ?= 1

.PHONY: help setup demo browser test test-unit test-cases test-faults test-integration check format lock bench clean

help: ## say what each target is for
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r target text; do printf '  %-18s %s\n' "$$target" "$$text"; done

setup: $(VENV_STAMP) ## install everything, the demo's and the tests' parts too, into .venv

$(TOOLS_STAMP): requirements/uv.txt
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(SYNC_STAMP): $(TOOLS_STAMP) requirements/all.txt
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/all.txt
	@touch $@

$(VENV_STAMP): $(SYNC_STAMP) pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The tests' MESH pins other versions than the service has, and so lives in an environment of its own.
$(SANDBOX_STAMP): $(TOOLS_STAMP) requirements/mesh-sandbox.txt
	test -x .mesh-sandbox/bin/python || $(UV) venv --quiet --python $(PYTHON) .mesh-sandbox
	$(UV) pip sync --quiet --python .mesh-sandbox/bin/python --require-hashes requirements/mesh-sandbox.txt
	@touch $@

demo: setup ## play a few weeks of a sample caseload against a sample EPR
	$(BIN)/fhirbridge demo

test: test-unit test-cases test-faults test-integration ## run every test

test-unit: setup ## run the fast tests: no network, no sleeping
	$(BIN)/python -m pytest tests/unit -n 2 --dist worksteal $(PYTEST_ARGS)

test-cases: setup ## play every case of the casebook
	$(BIN)/python -m pytest tests/cases -n 2 $(PYTEST_ARGS)

test-faults: setup ## play the fault bench: an EPR and a line on which everything goes wrong
	$(BIN)/python -m pytest tests/faults -n 2 $(PYTEST_ARGS)

# The console is tried in a real browser. Where there is none and none can be installed, those tests say so and are skipped.
browser: ## install Chromium, where that takes no more than Debian's package manager and the right to use it
	@for one in chromium chromium-browser google-chrome; do command -v $$one >/dev/null && exit 0; done; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
			&& apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi; \
		echo "There is no Chromium here: the console is not tried in a browser."

test-integration: setup browser $(SANDBOX_STAMP) ## run the tests that start what is real: servers on loopback, processes, letters as PDF
	$(BIN)/python -m pytest tests/contract tests/integration -n 2 --dist loadfile $(PYTEST_ARGS)

check: setup ## lint, format, types, direction of imports, cases and their pages, what is generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m fhirbridge.casebook --check
	$(BIN)/python -m fhirbridge.generate --check

format: setup ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(TOOLS_STAMP) ## pin again what pyproject.toml asks for (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) $(UPGRADE) requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --all-extras --output-file requirements/all.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --constraint requirements/all.txt --output-file requirements/runtime.txt
	$(COMPILE) $(UPGRADE) requirements/mesh-sandbox.in --output-file requirements/mesh-sandbox.txt
	$(COMPILE) $(UPGRADE) requirements/build.in --constraint requirements/all.txt --output-file requirements/build.txt

bench: setup ## measure (BENCH_ARGS="faults --seeds 5000" plays the fault bench over so many seeds)
	$(BIN)/python -m bench $(BENCH_ARGS)

clean: ## remove what was made here, the environments too
	rm -rf .venv .mesh-sandbox .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
