#!/bin/sh
# Loading libpeft.so starts no thread and opens no file, and its constructors
# are few: the compiler's own for objects at namespace scope, nearly all in the
# C++ library. None of the library's is registered to run by itself.
#
#   load_test.sh PROGRAM LIBRARY
set -eu
# 12 with gcc 12: two of the compiler, eight of the C++ library, one of abseil
# and one of Boost.
max_constructors=16
"$1" "$2"

if nm "$2" | grep -E ' [tT] .*peft.*(_init_array|constructor)'; then
  echo "FAILED: the library has constructors of its own"
  exit 1
fi

# Name, type, address, offset and size; pointers have 8 bytes.
size=$(readelf -SW "$2" | sed -n 's/^ *\[ *[0-9]*\] *//p' |
  awk '$1 == ".init_array" { print $5 }')
constructors=$((0x${size:-0} / 8))
echo "$constructors constructors"
if [ "$constructors" -eq 0 ] || [ "$constructors" -gt "$max_constructors" ]; then
  echo "FAILED: loading runs $constructors constructors, expected 1 to" \
    "$max_constructors: which file has a new object at namespace scope?"
  exit 1
fi
