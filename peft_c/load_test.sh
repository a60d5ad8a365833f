#!/bin/sh
# Loading libpeft.so starts no thread and opens no file, and its constructors
# are the compiler's own for objects at namespace scope: none of the library's
# is registered to run by itself.
#
#   load_test.sh PROGRAM LIBRARY
set -eu
"$1" "$2"


if nm "$2" | grep -E ' [tT] .*peft.*(_init_array|constructor)'; then
  echo "FAILED: the library has constructors of its own"
  exit 1
fi
readelf -SW "$2" | awk '$2 == ".init_array" || $3 == ".init_array"'
