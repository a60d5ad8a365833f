#!/bin/sh
# peft.hpp and peft_c.h compile with clang, without a warning.
#
#   hpp_clang_test.sh PEFT_HPP_COMPILES_CC
set -eu
for version in c++17 c++20; do
  clang++ -fsyntax-only "-std=$version" -I . -Werror \
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow "$1"
  echo "$version: no warnings"
done
