#!/bin/sh
# Builds the Swift program against libpeft.so and compares what it prints.
#
#   switch_adapters_test.sh LIBRARY EXPECTED
set -eu
library=$(realpath "$(dirname "$1")")
export HOME="$TEST_TMPDIR"
program="$TEST_TMPDIR/switch_adapters"

swiftc -warnings-as-errors -module-cache-path "$TEST_TMPDIR/modules" \
  -I bindings/swift/Sources/CPeft -Xcc "-I$PWD" -L "$library" \
  -Xlinker -rpath -Xlinker "$library" \
  -o "$program" bindings/swift/Examples/SwitchAdapters.swift
"$program" examples/quickstart/base examples/quickstart/adapters | diff "$2" -
