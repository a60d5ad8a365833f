"""Prints a C program that prints the layout of a header's structs.

    make_layout.py HEADER
"""

import pathlib
import sys

from testing.abi import abi
from testing.header import parser

if __name__ == "__main__":
    header = parser.parse_header(pathlib.Path(sys.argv[1]).read_text())
    sys.stdout.write(abi.layout_source(header))
