#!/bin/sh
# Checks the format of package peft and runs its tests with libpeft.so.
#
#   go_test.sh LIBRARY [FLAG_OF_GO_TEST...]
set -eu
. bindings/go/go_env.sh
shift
root=$PWD
cd "$TEST_TMPDIR/module"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || {
  echo "not as gofmt has it: $unformatted"
  exit 1
}
go vet ./...
# C may keep no pointer to Go's memory, and find none in what it is given.
GODEBUG=cgocheck=2 PEFT_TEST_ROOT=$root go test "$@" ./...
