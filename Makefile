# The menu. `make` prints it; the work is done by cargo and `cargo xtask`.
#
# There is one profile, release, for everything, and one target folder, kept outside the checkout: RocksDB takes
# long to compile and is compiled once. For the same reason there is no `clean`.

CARGO_TARGET_DIR ?= $(HOME)/.cache/strongroom/target
export CARGO_TARGET_DIR

CARGO_FLAGS := --release --locked

.DEFAULT_GOAL := help
.PHONY: help demo test crate lives faults crashes build bench lint doc fmt tidy verify fix bootstrap

help: ## this menu
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: ## the whole story on this machine, told as it goes
	@scripts/bootstrap.sh --demo
	cargo build $(CARGO_FLAGS) --package strongroom-cli
	"$(CARGO_TARGET_DIR)/release/strongroom" demo

test: ## everything that a change must pass
	@scripts/bootstrap.sh --test
	$(MAKE) --no-print-directory verify
	cargo test $(CARGO_FLAGS) --workspace

# Cargo settles a library's features over the packages that it is asked to build. Without `strongroom-proto` beside
# them, some crates would see other features below RocksDB's build script and compile RocksDB once more.
crate: ## the tests of one crate: make crate NAME=engine
	cargo test $(CARGO_FLAGS) --package strongroom-$(NAME) --package strongroom-proto

LIVES ?= 0..10000
lives: ## random lives of a cluster against the reference model: make lives LIVES=0..500
	LIVES=$(LIVES) cargo test $(CARGO_FLAGS) --package strongroom-custody --package strongroom-proto --test rules -- no_life_of

ROUNDS ?= 20
SEED ?= 1
faults: build ## kills and power cuts under load, docs/fault-rounds.md: make faults ROUNDS=100 SEED=7
	cargo build $(CARGO_FLAGS) --package strongroom-testkit --package strongroom-proto
	"$(CARGO_TARGET_DIR)/release/fault-rounds" "$(CARGO_TARGET_DIR)/release/strongroom" --seed $(SEED) --rounds $(ROUNDS)

crashes: build ## a voter or a station ends at every write and sync, docs/fault-rounds.md: make crashes SEED=7 ARGS="--from 0 --count 100"
	cargo build $(CARGO_FLAGS) --package strongroom-testkit --package strongroom-proto
	"$(CARGO_TARGET_DIR)/release/crash-points" "$(CARGO_TARGET_DIR)/release/strongroom" --seed $(SEED) $(ARGS)

build: bootstrap ## the binary, in $CARGO_TARGET_DIR/release/strongroom
	cargo build $(CARGO_FLAGS) --package strongroom-cli

bench: build ## what the path costs, stage by stage and end to end: make bench ARGS=--quick
	cargo run $(CARGO_FLAGS) --quiet --package strongroom-benches -- $(ARGS)

verify: ## format, lints, documentation and tidiness; writes nothing to the checkout
	cargo fmt --all --check
	$(MAKE) --no-print-directory lint doc tidy

lint: ## clippy, where a warning is an error
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

doc: ## the crates' documentation, where a broken link is an error
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps

tidy: ## floors, module openings, indexes, leftovers, wire style
	cargo run $(CARGO_FLAGS) --quiet --package xtask -- tidy

fmt: ## formats the code
	cargo fmt --all

fix: fmt ## formats, and mends what clippy can mend itself
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets --fix --allow-dirty --allow-staged

bootstrap: ## installs what a bare Debian lacks; quiet where nothing does
	@scripts/bootstrap.sh
