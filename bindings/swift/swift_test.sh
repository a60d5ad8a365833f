#!/bin/sh
# Builds the package once, against libpeft.so; runs its tests and examples.
#
#   swift_test.sh LIBRARY EXPECTED
set -eu
expected=$(realpath "$2")
PEFT_LIB_DIR=$(dirname "$(realpath "$1")")
PEFT_REPOSITORY=$PWD
HOME="$TEST_TMPDIR"
TMPDIR="$TEST_TMPDIR"
export PEFT_LIB_DIR PEFT_REPOSITORY HOME TMPDIR

# SwiftPM writes beside its package, and the module looks for the header where
# it lies from there.
package="$TEST_TMPDIR/repository/bindings/swift"
mkdir -p "$package" "$TEST_TMPDIR/repository/peft_c"
cp -RL bindings/swift/. "$package"
cp -L peft_c/peft_c.h "$TEST_TMPDIR/repository/peft_c"

swift_package() {
  verb=$1
  shift
  swift "$verb" --package-path "$package" --disable-sandbox \
    --disable-automatic-resolution "$@"
}

swift_package build --build-tests -Xswiftc -warnings-as-errors
swift_package test --skip-build --disable-swift-testing
binaries=$(swift_package build --show-bin-path)

"$binaries/SwitchAdapters" examples/quickstart/base \
  examples/quickstart/adapters | diff "$expected" -

[ "$("$binaries/CountingAllocator" examples/quickstart/base)" = counted ]

# The README's program is the example, and says "viertausendzweihundertsieben".
sed -n '/^```swift$/,/^```$/{//!p}' bindings/swift/README.md |
  diff bindings/swift/Examples/Generate.swift -
got=$("$binaries/Generate")
[ "$got" = "37 24 20 33 35 16 36 34 20 29 19 41 38 20 24 23 36 29 19 20 " ] || {
  echo "the README's program says '$got'"
  exit 1
}

# Without the library the package says what to do.
if message=$(PEFT_LIB_DIR=/no/such/folder swift package \
  --package-path "$package" --disable-sandbox describe 2>&1); then
  echo "no error for a folder without the library"
  exit 1
fi
case $message in
*"set it to the folder that has it"*) ;;
*)
  echo "the error does not say what to do: $message"
  exit 1
  ;;
esac
