#!/bin/sh
# abidiff agrees that what was published first is still there, unchanged.
#
#   abidiff_test.sh OLD_LIBRARY NEW_LIBRARY
set -eu

# Prints what abidiff finds from $1 to $2, without additions: structs that grew
# at their end, and the types that are made of them.
breaks() {
  rc=0
  abidiff --no-added-syms --no-show-locs "$1" "$2" >"$TEST_TMPDIR/report" ||
    rc=$?
  # 4 stands for any change, 8 besides for one that breaks.
  case "$rc" in
    0 | 4 | 12) ;;
    *) echo "abidiff ended with $rc" ;;
  esac
  grep -E 'changed|deletion|[1-9][0-9]* Removed' "$TEST_TMPDIR/report" |
    grep -vE "sub-type changes|type size changed from|data member insertion" |
    grep -vE "type 'struct peft_[a-z_]+'( at .*)? changed:$" |
    grep -vE '^Functions changes summary: 0 Removed' |
    grep -vE '^Variables changes summary: 0 Removed' || true
}

found=$(breaks "$1" "$2")
if [ -n "$found" ]; then
  echo "FAILED: programs of the first API number would break:"
  echo "$found"
  exit 1
fi
# The other way round additions are what breaks: it sees them.
found=$(breaks "$2" "$1")
for sign in 'Removed' 'data member deletion'; do
  echo "$found" | grep -q "$sign" || {
    echo "FAILED: abidiff does not see a break: $sign"
    exit 1
  }
done
