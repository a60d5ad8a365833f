# Sets what go needs to build bindings/go with the library, and copies the
# module to $TEST_TMPDIR/module: go does not follow links out of it. Sourced
# with the library's path as first argument.
library=$(realpath "$(dirname "$1")")
export HOME="$TEST_TMPDIR" GOCACHE="$TEST_TMPDIR/cache" GOFLAGS=-mod=mod
export GOPATH="$TEST_TMPDIR/go" GOPROXY=off GOTOOLCHAIN=local
export CGO_CFLAGS="-I$PWD"
export CGO_LDFLAGS="-L$library -Wl,-rpath,$library"
cp -rL bindings/go "$TEST_TMPDIR/module"
