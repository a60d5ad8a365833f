"""The structs for ctypes are those of peft_c.h: names, fields and sizes."""

import ctypes
import pathlib
import subprocess
import sys
import unittest

from testing import peft_structs
from testing.header import parser

SIZES, HEADER = sys.argv[1:3]
del sys.argv[1:3]


def python_name(name):
    """ModelOptions for peft_model_options_t."""
    return "".join(part.capitalize() for part in name.split("_")[1:-1])


def header_structs():
    """The fields of each struct of the header, in order, by Python's name."""
    header = parser.parse_header(pathlib.Path(HEADER).read_text())
    return {python_name(struct.name): [field.name for field in struct.fields]
            for struct in header.structs}


def python_structs():
    return {name: value for name, value in vars(peft_structs).items()
            if isinstance(value, type) and
            issubclass(value, peft_structs.Struct) and
            value is not peft_structs.Struct}


class PeftStructsTest(unittest.TestCase):

    def test_fields_are_those_of_the_header(self):
        found = {name: [field[0] for field in struct._fields_]
                 for name, struct in python_structs().items()}
        self.assertEqual(found, header_structs())

    def test_sizes_are_those_of_the_compiler(self):
        lines = subprocess.run([SIZES], capture_output=True, text=True,
                               check=True).stdout.split("\n")
        sizes = {python_name(name): int(size) for name, size in
                 (line.split() for line in lines if line)}
        self.assertEqual({name: ctypes.sizeof(struct) for name, struct in
                          python_structs().items()}, sizes)


if __name__ == "__main__":
    unittest.main()
