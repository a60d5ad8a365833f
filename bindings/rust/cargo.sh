#!/bin/sh
# Runs cargo on a copy of the crates, with the library that was just built.
#
#   cargo.sh LIBRARY CARGO-ARGUMENT...
set -eu
PEFT_LIB_DIR=$(realpath "$(dirname "$1")")
shift
export PEFT_LIB_DIR
export CARGO_HOME="$TEST_TMPDIR/cargo" CARGO_TARGET_DIR="$TEST_TMPDIR/target"
export CARGO_NET_OFFLINE=true RUSTFLAGS="-D warnings"

# The crates' tests look for the examples' files where they are in the source.
tree="$TEST_TMPDIR/tree"
mkdir -p "$tree/bindings"
ln -s "$PWD/examples" "$tree/examples"
ln -s "$PWD/testing" "$tree/testing"
cp -rL bindings/rust "$tree/bindings/rust"
cd "$tree/bindings/rust"
exec cargo "$@"
