#!/bin/sh
# Fails when the checked-in declarations are not those of the header.
#
#   bindings_current_test.sh HEADER
set -eu
if ! bindings/rust/peft-sys/generate.sh "$1" |
  diff bindings/rust/peft-sys/src/bindings.rs -; then
  echo "peft_c.h has changed: run bindings/rust/peft-sys/generate.sh" >&2
  exit 1
fi
