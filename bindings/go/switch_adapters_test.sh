#!/bin/sh
# Builds the Go program against libpeft.so and compares what it prints.
#
#   switch_adapters_test.sh LIBRARY EXPECTED
set -eu
library=$(realpath "$(dirname "$1")")
export HOME="$TEST_TMPDIR" GOCACHE="$TEST_TMPDIR/cache" GOFLAGS=-mod=mod
export GOPATH="$TEST_TMPDIR/go" GOPROXY=off GOTOOLCHAIN=local
export CGO_CFLAGS="-I$PWD"
export CGO_LDFLAGS="-L$library -Wl,-rpath,$library"

# go does not follow links out of its module.
cp -rL bindings/go "$TEST_TMPDIR/module"
(cd "$TEST_TMPDIR/module" && go vet ./... &&
  go build -o "$TEST_TMPDIR/switch_adapters" ./examples/switch_adapters)
"$TEST_TMPDIR/switch_adapters" examples/quickstart/base \
  examples/quickstart/adapters | diff "$2" -
