#!/bin/sh
# Programs build against the unpacked archive, wherever it lies, with nothing but
# a compiler, make or CMake, and run; the tool runs from there, too.
#
#   dist_test.sh ARCHIVE EXPECTED
set -eu
archive=$PWD/$1
expected=$PWD/$2
files=$PWD/examples/quickstart
work=$TEST_TMPDIR/some\ folder
mkdir -p "$work"
cd "$work"
tar -xf "$archive"
root=$(echo "$PWD"/peft-*)
unset LD_LIBRARY_PATH LD_PRELOAD

fail() {
  echo "FAILED: $*"
  exit 1
}

# Moves with its folder: no path of the machine that built it is inside.
if grep -rlE '/(root|home|build|execroot|bazel-out|work)/' "$root/lib" \
  "$root/bin" "$root/include" "$root/share/peft"; then
  fail "these files name a folder of the machine that built them"
fi
test "$(readlink "$root/lib/libpeft.so")" = libpeft.so.0 || fail "libpeft.so"
test -e "$root/lib/libpeft.so.0" || fail "libpeft.so.0"
readelf -d "$root/lib/libpeft.so" | grep -q 'SONAME.*\[libpeft.so.0\]' ||
  fail "the soname is another one"
readelf -d "$root/bin/peft" | grep -q 'NEEDED.*\[libpeft.so.0\]' ||
  fail "the tool needs another library"
for name in abseil boost boringssl eigen libstdc++ nlohmann_json pcre2 peft; do
  test -s "$root/share/doc/peft/licences/$name.txt" || fail "licence of $name"
done

grep -q 'peft_model_load_adapter' "$root/share/doc/peft/manual.html" ||
  fail "the manual does not have the functions of the header"

"$root/bin/peft" inspect "$files/adapters/german" | grep -q LORA ||
  fail "bin/peft does not run"

# The C compiler with pkg-config. Without a space in the path: that is more than
# what make and the shell do with pkg-config's answer can take.
moved=$TEST_TMPDIR/moved
mv "$root" "$moved"
check() {
  "$1" "$files/base" "$files/adapters" | diff "$expected" - || fail "$1"
}
PKG_CONFIG_PATH=$moved/lib/pkgconfig
export PKG_CONFIG_PATH
pkg-config --exact-version="$(sed -n 's/^# peft //p' "$moved/README.md")" peft ||
  fail "pkg-config tells another version"
cc -std=c99 -Wall -Werror -o by_hand \
  "$moved/share/peft/examples/c/switch_adapters.c" \
  $(pkg-config --cflags --libs peft) "-Wl,-rpath,$moved/lib"
check ./by_hand

cp -r "$moved/share/peft/examples" .
make -s -C examples/c "PEFT=$moved"
check examples/c/switch_adapters

cmake -S examples/cpp -B cpp_build "-DCMAKE_PREFIX_PATH=$moved" >cmake.log ||
  { cat cmake.log; fail "CMake"; }
cmake --build cpp_build >cmake.log || { cat cmake.log; fail "CMake's build"; }
check cpp_build/switch_adapters

# A version that is newer, and one of another major number, are not found.
for version in 0.99 1.0; do
  sed -i "s/find_package(peft [0-9.]*/find_package(peft $version/" \
    examples/cpp/CMakeLists.txt
  if cmake -S examples/cpp -B "build_$version" \
    "-DCMAKE_PREFIX_PATH=$moved" >cmake.log 2>&1; then
    fail "CMake takes this version for $version"
  fi
  grep -q 'compatible' cmake.log || { cat cmake.log; fail "another error"; }
done
