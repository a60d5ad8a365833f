#!/bin/sh
# What must hold before a commit: the format, the build and all tests.
set -eu
cd "$(dirname "$0")/.."

clang_format=$(command -v clang-format-14 || command -v clang-format) || {
  echo "presubmit: install clang-format-14, see CONTRIBUTING.md" >&2
  exit 1
}
echo "presubmit: format"
git ls-files -z '*.c' '*.cc' '*.cu' '*.h' |
  xargs -0 "$clang_format" --dry-run --Werror
echo "presubmit: files that nobody wants in the tree"
if git ls-files | grep -E '(\.pyc|\.so|\.o|\.a)$'; then
  echo "presubmit: built files are checked in" >&2
  exit 1
fi
echo "presubmit: build and tests"
exec .ci/run
