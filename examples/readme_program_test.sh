#!/bin/sh
# The README's program runs and gives the first twenty characters of
# "viertausendzweihundertsieben".
set -eu
wanted="37 24 20 33 35 16 36 34 20 29 19 41 38 20 24 23 36 29 19 20 "
got=$("$1")
[ "$got" = "$wanted" ] || {
  echo "got '$got', not '$wanted'"
  exit 1
}
