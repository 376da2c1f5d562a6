# Every command a person types. `make` alone explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# An active virtual environment is used; otherwise one is made in .venv.
VENV := $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),$(CURDIR)/.venv)
BIN := $(VENV)/bin
PLUGINS := postgres redis kafka health tracing ops
STAMP := $(VENV)/.corten
RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
# A home folder without rustup's toolchains (a fresh one, say) still finds those that lie beside its cargo.
export RUSTUP_HOME ?= $(shell tools/rustup-home)
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- installing ------------------------------------------------------------------------------------------------------
$(STAMP)/venv:
	@tools/check-python $(PYTHON) && tools/check-rust  # before anything is downloaded
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null  # uv makes them without
	@mkdir -p $(STAMP)
	@touch $@

$(STAMP)/requirements: requirements.txt constraints.txt plugins/*/pyproject.toml | $(STAMP)/venv
	@echo "installing what is needed from the package index …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-data.txt -c constraints.txt
	@touch $@

$(STAMP)/core: $(RUST) pyproject.toml | $(STAMP)/requirements
	@tools/check-rust
	@echo "compiling the core (a minute the first time) …"
	@VIRTUAL_ENV=$(VENV) $(BIN)/maturin develop --release --locked >$(STAMP)/core.log 2>&1 || { cat $(STAMP)/core.log; exit 1; }
	@touch $@

$(STAMP)/plugins: $(STAMP)/core plugins/*/pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PLUGINS:%=-e plugins/%)
	@touch $@

.PHONY: build
build: $(STAMP)/plugins ## install everything into the virtual environment, the core compiled
	@[ -n "$(VIRTUAL_ENV)" ] || [ "$(MAKECMDGOALS)" != build ] || echo "ready: . .venv/bin/activate, then corten --help"

.PHONY: servers
servers: build ## install the real servers that the tests start (Debian packages, Kafka, a collector)
	@tests/servers/install

# --- the main job ----------------------------------------------------------------------------------------------------
.PHONY: demo demo-once
demo: build ## 336,776 flights through broker, lookups and PostgreSQL; stays up and says what to try
	@$(BIN)/python examples/flights/demo.py

demo-once: build ## the same, and exit 0 when the totals are exact
	@$(BIN)/python examples/flights/demo.py --once

# --- checking --------------------------------------------------------------------------------------------------------
.PHONY: test
test: lint test-rust servers demo-once ## everything: Rust, style, types, unit, boundary, services, faults, and the main job
	@$(BIN)/python -m pytest --no-skips

.PHONY: test-rust
test-rust: build
	@cargo test --quiet --locked
	@RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --quiet --locked -p corten-core --lib --release loom  # every interleaving

.PHONY: unit
unit: build ## the quick part: no servers, seconds
	@$(BIN)/python -m pytest -m "not services and not faults and not slow" tests plugins

.PHONY: lint
lint: build ## style and types
	@cargo fmt --check
	@cargo clippy --quiet --locked --all-targets -- -D warnings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright --warnings

.PHONY: bench
bench: build servers ## our figures and the peers', side by side, into docs/explanation/benchmarks.md (about 15 minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt -c constraints.txt
	@$(BIN)/python benches/run.py

.PHONY: clean
clean: ## remove what was built, keep the virtual environment
	@cargo clean --quiet
	@rm -rf $(STAMP) .mypy_cache .ruff_cache .pytest_cache .corten
