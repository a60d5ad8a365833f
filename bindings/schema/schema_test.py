"""What counts as covered, and as missing."""

import unittest

from bindings.schema import schema
from testing.header import errors, parser

HEADER = parser.parse_header("""/* A header. */
#ifndef A_H_
#define A_H_

/* -------------------------------------------------------------------- things */

/* How. Since: 1. */
typedef struct peft_options {
  size_t struct_size;
  int32_t lenient;
} peft_options_t;

/* Kinds. Since: 1. */
#define PEFT_KIND_ONE 1

/* Does. Since: 1. */
PEFT_API void peft_do(const peft_options_t* options);

#endif /* A_H_ */
""")
IDS = errors.parse_errors("| `A_B` | OK | cause | cure |")

COMPLETE = """
fn f() { let o = sys::peft_options_t { lenient: 1 };
         sys::peft_do(&o); sys::PEFT_KIND_ONE }
const ID: &str = "A_B";
"""


def sources(*texts):
    return schema.Sources({f"src/{index}.rs": text
                           for index, text in enumerate(texts)})


def missing(*texts):
    return schema.missing(HEADER, IDS, sources(*texts))


class SchemaTest(unittest.TestCase):

    def test_nothing_is_missing(self):
        self.assertEqual(missing(COMPLETE), [])

    def test_each_part_is_missed(self):
        for part, name in (("peft_do", "peft_do"),
                           ("PEFT_KIND_ONE", "PEFT_KIND_ONE"),
                           ("lenient: 1", "peft_options_t.lenient"),
                           ('"A_B"', "error.A_B")):
            with self.subTest(name):
                self.assertEqual(missing(COMPLETE.replace(part, "x")), [name])

    def test_comments_do_not_count(self):
        text = COMPLETE.replace("sys::peft_do(&o);",
                                "// peft_do\n/* peft_do */ ")
        self.assertEqual(missing(text), ["peft_do"])

    def test_part_of_a_word_does_not_count(self):
        self.assertEqual(missing(COMPLETE.replace("peft_do", "peft_do_more")),
                         ["peft_do"])

    def test_a_field_counts_where_its_struct_is(self):
        elsewhere = "x.lenient"
        self.assertEqual(
            missing(COMPLETE.replace("lenient: 1", ""), elsewhere),
            ["peft_options_t.lenient"])

    def test_ways_to_use_a_field(self):
        for use in (".lenient = 1", "->lenient", "\n  lenient,\n"):
            self.assertEqual(missing(COMPLETE.replace("lenient: 1", use)), [])

    def test_exceptions(self):
        exceptions = schema.parse_exceptions(
            "# Why.\n\npeft_d*: not of use\n*.lenient in 1.rs: for all\n")
        names = ["peft_do", "peft_options_t.lenient"]
        self.assertEqual(
            schema.problems(names, exceptions, sources("", "x.lenient")), [])
        self.assertEqual(
            schema.problems(names, exceptions, sources("x.lenient", "")),
            ["peft_options_t.lenient is missing",
             "the exception *.lenient is not needed"])
        self.assertEqual(
            schema.problems(["error.A_B"], exceptions[:1], sources("")),
            ["error.A_B is missing", "the exception peft_d* is not needed"])

    def test_an_exception_needs_a_reason(self):
        for line in ("peft_do", "peft_do:", "peft_do: ", "peft do: x"):
            with self.assertRaises(ValueError):
                schema.parse_exceptions(line)


if __name__ == "__main__":
    unittest.main()
