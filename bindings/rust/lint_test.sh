#!/bin/sh
# The crates as rustfmt has them, without a warning of clippy.
#
#   lint_test.sh LIBRARY
set -eu
bindings/rust/cargo.sh "$1" fmt --check
rm -r "$TEST_TMPDIR/tree"
exec bindings/rust/cargo.sh "$1" clippy --quiet --all-targets -- -D warnings
