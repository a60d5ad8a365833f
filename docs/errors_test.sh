#!/bin/sh
# Every error id has its line in errors.md, and every line its id.
#
#   errors_test.sh ERRORS_MD ERROR_H PEFT_C_H
set -eu
failed=0

# error.h may break a long constant after the equals sign.
tr '\n' ' ' <"$2" | grep -oE 'constexpr char k[A-Za-z0-9]+\[\] = *"[A-Z0-9_]+"' |
  sed 's/.*"\(.*\)"/\1/' | sort >"$TEST_TMPDIR/ids"
sed -n 's/^| `\([A-Z0-9_]*\)` |.*/\1/p' "$1" | sort >"$TEST_TMPDIR/listed"
[ -s "$TEST_TMPDIR/ids" ] || failed=1
diff "$TEST_TMPDIR/ids" "$TEST_TMPDIR/listed" || {
  echo "FAILED: error.h (<) and errors.md (>) do not list the same ids"
  failed=1
}

# Ids that the header's comments name: ("HANDLE", ...).
grep -oE '"[A-Z][A-Z0-9]{2,}(_[A-Z0-9]+)*"' "$3" | tr -d '"' | sort -u |
  grep -vxE 'LORA' >"$TEST_TMPDIR/named"
unknown=$(comm -13 "$TEST_TMPDIR/ids" "$TEST_TMPDIR/named")
[ -z "$unknown" ] || {
  echo "FAILED: peft_c.h names ids that do not exist: $unknown"
  failed=1
}
exit "$failed"
