#!/bin/sh
# The quickstart reaches its accuracies and answers single numbers.
set -eu
program=$1

expect() {  # expect WANTED ARGUMENTS...
  wanted=$1
  shift
  got=$("$program" "$@")
  [ "$got" = "$wanted" ] || { echo "$*: got '$got', not '$wanted'"; exit 1; }
}

"$program"
expect 'four thousand two hundred seven' --number 4207
expect 'eintausendzweihundertvierunddreißig' --number 1234 --adapter german
expect 'mille deux cent trente-quatre' --number 1234 --adapter french
expect 'MCCXXXIV' --number 1234 --adapter roman

refuse() {  # refuse ARGUMENTS...: exit code 2 and a reason
  code=0
  "$program" "$@" 2>"$TEST_TMPDIR/stderr" || code=$?
  [ "$code" = 2 ] || { echo "$*: exit code $code, not 2"; exit 1; }
  grep -q '^quickstart: ' "$TEST_TMPDIR/stderr"
}

refuse --number 12345
refuse --number 4000 --adapter roman
refuse --number 5 --adapter dutch
refuse --adapter german
refuse --nonsense
