#!/bin/sh
# Builds the Rust program against libpeft.so and compares what it prints.
#
#   switch_adapters_test.sh LIBRARY EXPECTED
set -eu
PEFT_LIB_DIR=$(realpath "$(dirname "$1")")
export PEFT_LIB_DIR
export CARGO_HOME="$TEST_TMPDIR/cargo" CARGO_TARGET_DIR="$TEST_TMPDIR/target"
export RUSTFLAGS="-D warnings"

cp -rL bindings/rust/peft-sys "$TEST_TMPDIR/peft-sys"
(cd "$TEST_TMPDIR/peft-sys" &&
  cargo build --quiet --offline --example switch_adapters)
"$CARGO_TARGET_DIR/debug/examples/switch_adapters" examples/quickstart/base \
  examples/quickstart/adapters | diff "$2" -
