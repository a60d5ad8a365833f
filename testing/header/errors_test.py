"""The ids of errors, from errors.md itself and from bad tables."""

import pathlib
import sys
import unittest

from testing.header import errors

ERRORS = sys.argv.pop(1)

TABLE = """## Of files

| id | code | cause | cure |
|---|---|---|---|
| `A_B` | DATA_LOSS, NOT_FOUND | why | what to do |
"""


class ErrorsTest(unittest.TestCase):

    def test_row(self):
        self.assertEqual(errors.parse_errors(TABLE), (errors.ErrorId(
            "A_B", ("DATA_LOSS", "NOT_FOUND"), "why", "what to do",
            "Of files"),))

    def test_lines_that_are_no_rows(self):
        for row in ("| A_B | DATA_LOSS | why | cure |",
                    "| `A_B` | data loss | why | cure |",
                    "| `A_B` | DATA_LOSS | why |"):
            with self.assertRaisesRegex(ValueError, "no row"):
                errors.parse_errors(TABLE + row + "\n")

    def test_an_id_twice(self):
        with self.assertRaisesRegex(ValueError, "twice"):
            errors.parse_errors(TABLE + TABLE.split("\n")[-2] + "\n")

    def test_the_list_itself(self):
        found = {error.id: error for error in
                 errors.parse_errors(pathlib.Path(ERRORS).read_text())}
        self.assertEqual(found["HANDLE"].codes, ("INVALID_ARGUMENT",))
        self.assertEqual(found["HUB_OFFLINE"].section, "The Hub")
        self.assertTrue(all(error.cause and error.cure
                            for error in found.values()))


if __name__ == "__main__":
    unittest.main()
