"""Fails if a binding lacks something of the header.

  check.py PEFT_C_H ERRORS_MD EXCEPTIONS PATTERN FILE...

Of the files those count whose path the regular expression matches.
"""

import pathlib
import re
import sys

from bindings.schema import schema
from testing.header import errors, parser


def read(path):
    return pathlib.Path(path).read_text()


def main():
    header_path, errors_path, exceptions_path, pattern, *files = sys.argv[1:]
    counted = [file for file in files if re.search(pattern, file)]
    if not counted:
        sys.exit(f"no file matches {pattern}")
    sources = schema.Sources({file: read(file) for file in counted})
    names = schema.missing(parser.parse_header(read(header_path)),
                           errors.parse_errors(read(errors_path)), sources)
    exceptions = schema.parse_exceptions(read(exceptions_path))
    found = schema.problems(names, exceptions, sources)
    print(f"{len(counted)} files; {len(names)} names are not in them")
    if found:
        sys.exit("\n".join(found) + f"\n(exceptions: {exceptions_path})")


if __name__ == "__main__":
    main()
