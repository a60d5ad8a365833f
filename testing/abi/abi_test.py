"""The ABI is what peft_c.abi says, and what may change is what docs/abi.md
allows.

    abi_test.py DUMP HEADER LAYOUT
"""

import pathlib
import sys
import unittest

from testing.abi import abi
from testing.header import parser

DUMP, HEADER, LAYOUT = sys.argv[1:4]
del sys.argv[1:4]

OLD = [
    "constant PEFT_API_VERSION: 1",
    "constant PEFT_OK: 0, since 1",
    "struct s: 24 bytes, aligned to 8, since 1",
    "field s.struct_size: size_t at 0, since 1",
    "field s.flag: int32_t at 16, since 1",
    "function peft_f: void (int32_t), since 1",
]


def _changed(old, new):
    """OLD with one line replaced: what breaks, what is added."""
    lines = [new if line == old else line for line in OLD]
    assert lines != OLD
    return abi.compare(OLD, [line for line in lines if line])


class DumpTest(unittest.TestCase):

    def test_it_is_that_of_the_header(self):
        lines = [line for line in pathlib.Path(DUMP).read_text().splitlines()
                 if not line.startswith("#")]
        today = abi.dump(parser.parse_header(pathlib.Path(HEADER).read_text()),
                         abi.read_layout(LAYOUT))
        broken, added = abi.compare(lines, today)
        self.assertEqual(broken, [], "programs that are compiled would break")
        self.assertEqual(added, [], "run ./bazelw run //testing/abi:update")
        self.assertEqual(lines, today, "run ./bazelw run //testing/abi:update")


class CompareTest(unittest.TestCase):

    def test_nothing_changed(self):
        self.assertEqual(abi.compare(OLD, OLD), ([], []))

    def test_what_is_gone_breaks(self):
        for line in OLD[1:]:
            broken, _ = _changed(line, None)
            self.assertEqual(len(broken), 1, line)
            self.assertIn("is gone", broken[0])

    def test_what_is_changed_breaks(self):
        for old, new in (
            (OLD[0], "constant PEFT_API_VERSION: 0"),
            (OLD[1], "constant PEFT_OK: 1, since 1"),
            (OLD[2], "struct s: 16 bytes, aligned to 8, since 1"),
            (OLD[2], "struct s: 24 bytes, aligned to 16, since 1"),
            (OLD[4], "field s.flag: int64_t at 16, since 1"),
            (OLD[4], "field s.flag: int32_t at 20, since 1"),
            (OLD[5], "function peft_f: int32_t (int32_t), since 1"),
            (OLD[5], "function peft_f: void (int64_t), since 1"),
            (OLD[5], "function peft_f: void (int32_t), since 2"),
        ):
            broken, _ = _changed(old, new)
            self.assertEqual(len(broken), 1, new)

    def test_additions_do_not(self):
        new = ["constant PEFT_API_VERSION: 2", OLD[1],
               "struct s: 32 bytes, aligned to 8, since 1", *OLD[3:],
               "field s.more: int64_t at 24, since 2",
               "struct t: 8 bytes, aligned to 8, since 2",
               "field t.struct_size: size_t at 0, since 2",
               "function peft_g: void (), since 2"]
        self.assertEqual(abi.compare(OLD, new), ([], [
            "field s.more", "struct t", "field t.struct_size",
            "function peft_g"]))

    def test_a_field_in_the_padding_breaks(self):
        broken, _ = abi.compare(
            OLD, OLD + ["field s.more: int32_t at 20, since 1"])
        self.assertEqual(len(broken), 1)
        self.assertIn("padding", broken[0])

    def test_an_addition_of_a_later_number_is_refused(self):
        broken, _ = abi.compare(OLD, OLD + ["function peft_g: void (), since 2"])
        self.assertEqual(len(broken), 1)
        self.assertIn("since 2", broken[0])

    def test_what_is_no_line_is_refused(self):
        for lines in (OLD + OLD[:1], OLD + ["nonsense"]):
            with self.assertRaises(ValueError):
                abi.compare(lines, OLD)


if __name__ == "__main__":
    unittest.main()
