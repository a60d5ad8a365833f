"""Takes what was added to the ABI into its dump. What is no addition is refused:
programs that are compiled already would break.

    bazel run //testing/abi:update
"""

import os
import pathlib
import sys

from testing.abi import abi
from testing.header import parser

_HEAD = """\
# The ABI of peft_c.h as it was published, on 64-bit systems. Written by
# `./bazelw run //testing/abi:update`; docs/abi.md.
"""


def lines_of(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def main(dump, header, layout):
    new = abi.dump(parser.parse_header(pathlib.Path(header).read_text()),
                   abi.read_layout(layout))
    # The runfile is a link to the file in the tree, or a copy of it.
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")
    path = pathlib.Path(workspace, dump)
    broken, added = abi.compare(lines_of(path.read_text()), new)
    if broken:
        sys.exit("Not written, as programs would break:\n  " +
                 "\n  ".join(broken))
    path.write_text(_HEAD + "\n".join(new) + "\n")
    print(f"{len(added)} additions")


if __name__ == "__main__":
    main(*sys.argv[1:])
