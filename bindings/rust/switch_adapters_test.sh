#!/bin/sh
# Compares what the Rust program prints.
#
#   switch_adapters_test.sh LIBRARY EXPECTED
set -eu
quickstart="$PWD/examples/quickstart"
bindings/rust/cargo.sh "$1" run --quiet --example switch_adapters -- \
  "$quickstart/base" "$quickstart/adapters" | diff "$2" -
