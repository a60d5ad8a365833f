"""The generator refuses what it does not know, so that nothing is left out."""

import pathlib
import sys
import unittest

from testing.header import errors, parser
from testing.misuse import generate_calls

HEADER, ERRORS = sys.argv[1:]
del sys.argv[1:]

FRAME = """/* A header. */
#ifndef A_H_
#define A_H_

/* -------------------------------------------------------------------- things */

/* A failure. Since: 1. */
typedef struct peft_status peft_status_t;

%s
#endif /* A_H_ */
"""


def generator(body):
    return generate_calls.Generator(parser.parse_header(FRAME % body))


def function(parameters):
    """What is generated for a function with these parameters."""
    made = generator("/* Does. Since: 1. */\nPEFT_API PEFT_MUST_USE "
                     f"peft_status_t* peft_do({parameters});\n")
    return made.function(made.header.functions[0])


def struct(fields):
    """What is generated for a struct with these fields."""
    made = generator("/* How. Since: 1. */\ntypedef struct peft_options {\n"
                     f"  size_t struct_size;\n  {fields}\n"
                     "} peft_options_t;\n")
    return made.fill(made.header.structs[0])


class GeneratorTest(unittest.TestCase):

    def test_every_function_and_every_field_is_drawn(self):
        header = parser.parse_header(pathlib.Path(HEADER).read_text())
        made = generate_calls.Generator(header)
        code = made.calls(errors.parse_errors(pathlib.Path(ERRORS).read_text()))
        for declared in header.functions:
            self.assertIn(f'{{"{declared.name}", Call_{declared.name}, ', code)
        adjusted = {field for fields in generate_calls.ADJUSTED.values()
                    for field in fields}
        for declared in header.structs:
            fill = made.fill(declared)
            for field in declared.fields[1:]:
                if field.name not in adjusted:
                    self.assertIn(f"value.{field.name}", fill)

    def test_counts_are_drawn_before_their_arrays(self):
        code = function("const char* const* names, size_t num_names")
        self.assertLess(code.index("num_names = call.Count"),
                        code.index('call.Texts("names", num_names'))

    def test_a_field_with_a_count_is_as_long_as_it_says(self):
        self.assertIn('value.ids = call.Numbers<int64_t>("ids", value.num_ids)',
                      struct("const int64_t* ids;\n  size_t num_ids;"))

    def test_what_a_path_is_for(self):
        self.assertIn("TextUse::kPath", function("const char* path"))

    def test_streams_are_the_default_one(self):
        self.assertIn("const auto stream = nullptr;", function("void* stream"))
        self.assertIn("value.stream = nullptr;", struct("void* stream;"))

    def test_unknown_types_are_errors(self):
        for parameters in ("char* text", "const int64_t* ids",
                           "void* data", "int32_t* count", "float** out_x",
                           "const peft_status_t** out_status"):
            with self.subTest(parameters):
                with self.assertRaises(generate_calls.UnknownType):
                    function(parameters)
        for fields in ("const int64_t* ids;", "void* data;",
                       "/* PEFT_KIND_... */\n  int32_t kind;"):
            with self.subTest(fields):
                with self.assertRaises(generate_calls.UnknownType):
                    struct(fields)


if __name__ == "__main__":
    unittest.main()
