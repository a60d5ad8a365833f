#!/bin/sh
# abseil and PCRE2 are inside libpeft.so and hidden: a program with its own
# copies never meets ours. What is exported is //peft_c:exports_test's matter.
#
#   libpeft_contents_test.sh LIBRARY
set -eu
library=$1

nm --demangle "$library" >"$TEST_TMPDIR/symbols"
for name in 'absl::' 'pcre2_match_8'; do
  if ! grep -q -F "$name" "$TEST_TMPDIR/symbols"; then
    echo "FAILED: no symbol with $name is inside $library"
    exit 1
  fi
  # Lower case letters are local symbols; U is one that somebody else is to
  # have.
  if grep -F "$name" "$TEST_TMPDIR/symbols" | grep -E '^[0-9a-f ]* [A-Z] '; then
    echo "FAILED: these symbols of $library are not hidden"
    exit 1
  fi
done
