#!/bin/sh
# Checks package peft, runs its tests with libpeft.so, and compares what the
# example prints.
#
#   go_test.sh LIBRARY EXPECTED [FLAG_OF_GO...]
set -eu
library=$(realpath "$(dirname "$1")")
expected=$(realpath "$2")
shift 2
export HOME="$TEST_TMPDIR" GOCACHE="$TEST_TMPDIR/cache" GOFLAGS=-mod=mod
export GOPATH="$TEST_TMPDIR/go" GOPROXY=off GOTOOLCHAIN=local
export CGO_CFLAGS="-I$PWD"
export CGO_LDFLAGS="-L$library -Wl,-rpath,$library"
export PEFT_TEST_ROOT="$PWD"

# go does not follow links out of its module.
cp -rL bindings/go "$TEST_TMPDIR/module"
cd "$TEST_TMPDIR/module"
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || {
  echo "not as gofmt has it: $unformatted"
  exit 1
}
go vet ./...
# Fails where C is given memory of Go's that has pointers to more of it.
GODEBUG=cgocheck=2 go test "$@" ./...
go run "$@" ./examples/switch_adapters "$PEFT_TEST_ROOT/examples/quickstart/base" \
  "$PEFT_TEST_ROOT/examples/quickstart/adapters" | diff "$expected" -
