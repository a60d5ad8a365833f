"""libpeft.so exports the functions of peft_c.h and nothing else, each under the
symbol version of the API number in which it appeared, and needs no other
libraries than the system's.

    exports_test.py LIBRARY MAP HEADER
"""

import pathlib
import re
import subprocess
import sys
import unittest

from testing.header import parser

# Those that every Linux has; libgcc_s is the unwinder of the whole process.
_SYSTEM = re.compile(r"(libc|libm|libgcc_s|libpthread)\.so\.\d+|ld-linux.*")


def _expected():
    """Name to version, as the header says."""
    header = parser.parse_header(pathlib.Path(HEADER).read_text())
    return {function.name: f"PEFT_{function.since}"
            for function in header.functions}


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          encoding="utf-8").stdout


class ExportsTest(unittest.TestCase):
    maxDiff = None

    def test_the_map_lists_the_headers_functions(self):
        text = re.sub(r"#.*", "", pathlib.Path(MAP).read_text())
        listed, parents = {}, {}
        for version, body, parent in re.findall(
                r"(\w+)\s*{(.*?)}\s*(\w*)\s*;", text, re.DOTALL):
            parents[version] = parent
            for name in re.findall(r"\bpeft_\w+", body):
                self.assertNotIn(name, listed, "it is listed twice")
                listed[name] = version
        self.assertEqual(listed, _expected())
        # Each version builds on the one before: a program that has one of them
        # can count on all below it.
        numbers = range(1, len(parents) + 1)
        self.assertEqual(parents, {f"PEFT_{n}": f"PEFT_{n - 1}" if n > 1 else ""
                                   for n in numbers})

    def test_the_library_exports_what_the_map_lists(self):
        exported = {}
        for line in _run("nm", "-D", "--defined-only", LIBRARY).splitlines():
            name, _, version = line.split()[2].partition("@@")
            if not version and re.fullmatch(r"PEFT_\d+", name):
                continue  # the version's own name is a symbol, too
            exported[name] = version
        self.assertEqual(exported, _expected())

    def test_it_needs_the_systems_libraries_only(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]",
                            _run("readelf", "-d", LIBRARY))
        self.assertTrue(needed)
        self.assertEqual([n for n in needed if not _SYSTEM.fullmatch(n)], [])


if __name__ == "__main__":
    LIBRARY, MAP, HEADER = sys.argv[1:4]
    del sys.argv[1:4]
    unittest.main()
