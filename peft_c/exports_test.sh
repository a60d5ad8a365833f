#!/bin/sh
# libpeft.so exports the functions of peft_c.h and nothing else, all under one
# symbol version, and needs no other library than the system's.
#
#   exports_test.sh LIBRARY EXPORTS HEADER
set -eu
library=$1
exports=$2
header=$3
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

# What the header declares, without the types of callbacks.
grep -oE '\bpeft_[a-z0-9_]+\(' "$header" | tr -d '(' | sort -u \
  >"$TEST_TMPDIR/declared"
diff "$exports" "$TEST_TMPDIR/declared" ||
  fail "exports.txt (<) differs from what peft_c.h declares (>)"

# "peft_x@@PEFT_1": the version's own name is a symbol too.
nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^PEFT_1$' \
  >"$TEST_TMPDIR/versioned" || true
if grep -v '@@PEFT_1$' "$TEST_TMPDIR/versioned"; then
  fail "these exports have no version, or another one"
fi
sed 's/@.*//' "$TEST_TMPDIR/versioned" | sort -u >"$TEST_TMPDIR/exported"
diff "$exports" "$TEST_TMPDIR/exported" ||
  fail "exports.txt (<) differs from what $library exports (>)"

# abseil, PCRE2 and the C++ library are inside, and nothing needs libtorch.
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case "$name" in
    libc.so.* | libm.so.* | libgcc_s.so.* | libpthread.so.* | ld-linux*) ;;
    *) fail "$library needs $name" ;;
  esac
done
exit "$failed"
