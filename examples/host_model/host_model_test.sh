#!/bin/sh
# All four ways give what Python PEFT gave.
#
#   host_model_test.sh PROGRAM CONFIG EXPECTED
set -eu
"$1" "$(dirname "$2")" >"$TEST_TMPDIR/found"
diff "$3" "$TEST_TMPDIR/found"
