# `make help` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# rustup's own place, where a fresh installation has not reached the PATH yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

CARGO ?= cargo
# The demo's address.
LISTEN ?= 127.0.0.1:3000

.PHONY: help run test check fmt clippy docs unit deny incident incident-small bench bench-settled bench-log clients fuzz tools nginx

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## Builds, and starts the demo: a gateway with a built-in fake provider
	$(CARGO) build --release --locked -p gateway --bin sluice
	@$(CARGO) run --quiet --release --locked -p gateway --bin sluice -- demo --listen $(LISTEN)

check: tools ## Formatting and types, fast
	$(CARGO) fmt --all --check
	$(CARGO) check --workspace --all-targets --locked

# One after the other, the cheap ones first, whatever -j says.
test: ## Everything: format, lints, dependencies, documents, tests, a small replay of the incident
	@$(MAKE) --no-print-directory tools
	@$(MAKE) --no-print-directory fmt
	@$(MAKE) --no-print-directory deny
	@$(MAKE) --no-print-directory clippy
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory incident-small
	@echo "make test: all good"

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --manifest-path fuzz/Cargo.toml --no-default-features --lib --examples --locked --target-dir target/fuzz -- -D warnings

docs: ## The documents against the program: examples, links, names
	$(CARGO) build --quiet --locked -p gateway --bin sluice
	./.ci/docs

unit: ## All tests
	$(CARGO) test --workspace --locked --no-fail-fast

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --log-level error check licenses bans sources; \
	else echo "cargo-deny is not installed: licences and bans of dependencies are not checked (cargo install cargo-deny)"; fi

incident: tools ## The incident at its own size: 169,000 requests into errors that never end
	$(CARGO) run --release --locked -p bench --bin incident

incident-small: tools ## The same, a hundred times smaller
	$(CARGO) run --release --locked -p bench --bin incident -- --scale 100

bench: tools nginx ## Speed and memory beside nginx, written to docs/BENCHMARKS.md
	$(CARGO) run --profile dist --locked -p bench --bin bench

bench-settled: tools ## Ten minutes of full load on the books; a section of docs/BENCHMARKS.md
	$(CARGO) run --profile dist --locked -p bench --bin bench-settled

bench-log: tools ## The request log with ten million requests in it (10 GB of disk); a section of docs/BENCHMARKS.md
	$(CARGO) run --profile dist --locked -p bench --bin bench-log

clients: tools ## Real clients on every dialect, written to docs/COMPATIBILITY.md (installs them; ONLY=NAME: one)
	@command -v python3 >/dev/null || { echo "python3, which drives the clients, is missing: apt-get install python3-venv" >&2; exit 1; }
	$(CARGO) build --quiet --locked -p gateway --bin sluice -p upstream-sim
	python3 -B clients/run.py "$(ONLY)"

# Seconds for each of the targets, and which of them.
SECONDS_EACH ?= 60
TARGETS ?= $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))

fuzz: ## Fuzzes all that reads bytes of strangers: SECONDS_EACH=600, TARGETS="tap peek"
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { echo "A nightly compiler is missing: rustup toolchain install nightly" >&2; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked --quiet cargo-fuzz
	cd fuzz && $(CARGO) +nightly run --quiet --example seeds
	$(CARGO) +nightly fuzz build --sanitizer none
	@for target in $(TARGETS); do \
	    log=fuzz/target/$$target.log; echo "fuzz: $$target for $(SECONDS_EACH) s"; \
	    if $(CARGO) +nightly fuzz run --sanitizer none $$target -- -max_total_time=$(SECONDS_EACH) -max_len=4096 -timeout=10 >$$log 2>&1; \
	    then grep '^Done' $$log; \
	    else grep -A 4 panicked $$log || tail -5 $$log; echo "fuzz: $$target found something: $$log" >&2; exit 1; fi; \
	done

# What is missing is installed where that is possible, and else said.
tools:
	@command -v $(CARGO) >/dev/null || { \
	    echo "Rust is missing. Install it with rustup, then run make again; the version comes by itself." >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	    then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc libc6-dev; \
	    else echo "A C compiler is missing (two dependencies have C in them). On Debian: apt-get install gcc libc6-dev" >&2; exit 1; fi; }
	@{ $(CARGO) fmt --version && $(CARGO) clippy --version; } >/dev/null 2>&1 || { command -v rustup >/dev/null && rustup component add rustfmt clippy; } || { \
	    echo "rustfmt and clippy are missing. With rustup: rustup component add rustfmt clippy" >&2; exit 1; }

nginx:
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	    then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light || true; \
	    else echo "nginx, the yardstick, is missing: apt-get install nginx-light. The rest is measured without it." >&2; fi; }
