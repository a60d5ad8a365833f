#!/bin/sh
# The C program prints what is expected.
#
#   switch_adapters_test.sh PROGRAM EXPECTED
set -eu
"$1" examples/quickstart/base examples/quickstart/adapters | diff "$2" -
