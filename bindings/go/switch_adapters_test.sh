#!/bin/sh
# Builds the example with libpeft.so and compares what it prints.
#
#   switch_adapters_test.sh LIBRARY EXPECTED
set -eu
. bindings/go/go_env.sh
(cd "$TEST_TMPDIR/module" &&
  go build -o "$TEST_TMPDIR/switch_adapters" ./examples/switch_adapters)
"$TEST_TMPDIR/switch_adapters" examples/quickstart/base \
  examples/quickstart/adapters | diff "$2" -
