#!/bin/sh
# Prints src/bindings.rs, made of the header; needs bindgen 0.60 and rustfmt.
#
#   peft-sys/generate.sh ../../peft_c/peft_c.h > peft-sys/src/bindings.rs
set -eu
# Macros have the type of the fields that they are for, int32_t.
exec bindgen --no-doc-comments --no-layout-tests --size_t-is-usize \
  --default-macro-constant-type signed --enable-function-attribute-detection \
  --allowlist-function 'peft_.*' --allowlist-type 'peft_.*' \
  --allowlist-var 'PEFT_.*' --rust-target 1.47 \
  --rustfmt-configuration-file "$(realpath "$(dirname "$0")/../rustfmt.toml")" \
  "$1"
