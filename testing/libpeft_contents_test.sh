#!/bin/sh
# abseil, PCRE2 and BoringSSL are inside libpeft.so and hidden: a program with
# its own copies never meets ours. What is exported is //peft_c:exports_test's
# matter. In a build without network code (HUB: off) there is no BoringSSL. The
# library stays small.
#
#   libpeft_contents_test.sh LIBRARY HUB
set -eu
library=$1
hub=$2

nm --demangle "$library" >"$TEST_TMPDIR/symbols"
inside='absl:: pcre2_match_8'
network='SSL_do_handshake SHA256_Update peft::hub::HttpsTransport'
case "$hub" in
  on) inside="$inside $network" ;;
  off)
    for name in $network getaddrinfo; do
      if grep -F "$name" "$TEST_TMPDIR/symbols"; then
        echo "FAILED: $library has network code"
        exit 1
      fi
    done
    ;;
esac
for name in $inside; do
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

# What is promised in docs/performance.md, without symbols.
case "$hub" in
  on) limit=6000000 ;;
  off) limit=4000000 ;;
esac
strip -o "$TEST_TMPDIR/stripped" "$library"
size=$(wc -c <"$TEST_TMPDIR/stripped")
echo "hub $hub: $size bytes without symbols, of $limit"
if [ "$size" -ge "$limit" ]; then
  echo "FAILED: $library is too large; the largest of its symbols:"
  nm --demangle --print-size --size-sort --reverse-sort "$library" | head -n 40
  exit 1
fi
