"""The parser, on peft_c.h itself, on small headers and on bad ones."""

import pathlib
import re
import sys
import unittest

from testing.header import parser

HEADER = sys.argv.pop(1)

FRAME = """/* A header. */
#ifndef A_H_
#define A_H_

#include <stdint.h>

/* Marks what is exported. */
#if defined(_WIN32)
#define PEFT_API __declspec(dllexport)
#else
#define PEFT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------- first things */

%s
#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* A_H_ */
"""

STATUS = """/* A failure. Since: 1. */
typedef struct peft_status peft_status_t;

"""

OPTIONS = """/* How. Since: 1. */
typedef struct peft_options {
  size_t struct_size;
  /* Both
   * of them. Since: 2. */
  int32_t first;
  const char* const* second;
  int64_t third[3]; /* behind it */
  float fourth;
} peft_options_t;

"""


def parse(body):
    return parser.parse_header(FRAME % body)


def only(body):
    """The one declaration of `body`."""
    declaration, = parse(body).sections[0].declarations
    return declaration


class ParserTest(unittest.TestCase):

    def test_frame(self):
        header = parse(STATUS)
        self.assertEqual(header.intro, "A header.")
        self.assertEqual(header.attributes,
                         {"PEFT_API": "Marks what is exported."})
        self.assertEqual([section.title for section in header.sections],
                         ["first things"])

    def test_function(self):
        function = parse(STATUS + """/* Does it
 * at once. Since: 3. */
PEFT_API PEFT_MUST_USE peft_status_t* peft_do(
    const peft_status_t* status, const char* const* names, size_t num_names);
""").functions[0]
        self.assertEqual(
            (function.name, function.doc, function.since, function.must_use),
            ("peft_do", "Does it\nat once.", 3, True))
        self.assertEqual([(parameter.name, str(parameter.type))
                          for parameter in function.parameters],
                         [("status", "const peft_status_t*"),
                          ("names", "const char* const*"),
                          ("num_names", "size_t")])

    def test_function_without_parameters(self):
        function = only("/* One. Since: 1. */\n"
                        "PEFT_API int32_t peft_one(void);\n")
        self.assertEqual(function.parameters, ())
        self.assertEqual(str(function.result), "int32_t")

    def test_callback(self):
        callback = only("/* Called. Since: 1. */\n"
                        "typedef int32_t (*peft_log_fn)(void* user_data);\n")
        self.assertEqual((callback.name, str(callback.parameters[0].type)),
                         ("peft_log_fn", "void*"))

    def test_struct(self):
        struct = only(OPTIONS)
        self.assertEqual(
            [(field.name, str(field.type), field.count, field.doc, field.since)
             for field in struct.fields],
            [("struct_size", "size_t", 0, "", 1),
             ("first", "int32_t", 0, "Both\nof them.", 2),
             ("second", "const char* const*", 0, "Both\nof them.", 2),
             ("third", "int64_t", 3, "behind it", 1),
             ("fourth", "float", 0, "", 1)])

    def test_defaults(self):
        header = parse(OPTIONS + """/* All. Since: 1. */
#define PEFT_OPTIONS_INIT                       \\
  { sizeof(peft_options_t), 7, NULL, {1, 2, 3}, \\
        0.5f }
""")
        self.assertEqual([field.default for field in header.structs[0].fields],
                         ["sizeof(peft_options_t)", "7", "NULL", "{1, 2, 3}",
                          "0.5f"])

    def test_group(self):
        group = only("""/* Kinds. Since: 1. */
#define PEFT_KIND_ONE 1 /* the first */
/* The second,
 * as it is. Since: 2. */
#define PEFT_KIND_TWO 2
#define PEFT_KIND_MINUS \\
  -1 /* behind \\
      */
""")
        self.assertEqual(group.name, "PEFT_KIND_")
        self.assertEqual(
            [(constant.name, constant.value, constant.doc, constant.since)
             for constant in group.constants],
            [("PEFT_KIND_ONE", 1, "the first", 1),
             ("PEFT_KIND_TWO", 2, "The second,\nas it is.", 2),
             ("PEFT_KIND_MINUS", -1, "behind", 1)])

    def test_the_first_of_a_group_may_have_a_comment_of_its_own(self):
        group = only("/* Kinds. Since: 1. */\n/* The first. */\n"
                     "#define PEFT_KIND_ONE 1\n"
                     "#define PEFT_KIND_TWO 2 /* behind. Since: 3 */\n")
        self.assertEqual(group.doc, "Kinds.")
        self.assertEqual([(constant.doc, constant.since)
                          for constant in group.constants],
                         [("The first.", 1), ("behind.", 3)])

    def test_an_empty_line_ends_a_group(self):
        header = parse("/* A. Since: 1. */\n#define PEFT_A_X 1\n\n"
                       "/* B. Since: 1. */\n#define PEFT_B_X 1\n")
        self.assertEqual([group.name for group in header.groups],
                         ["PEFT_A_", "PEFT_B_"])

    def test_paragraph(self):
        paragraph = parse("/* About what follows. Since: 1. */\n\n" +
                          STATUS).sections[0].declarations[0]
        self.assertEqual((paragraph.name, paragraph.doc),
                         ("", "About what follows."))

    def test_what_is_refused(self):
        void = "PEFT_API void peft_do(int32_t x);\n"
        for body, message in (
                (void, "without a comment"),
                ("/* Does. */\n" + void, "Since"),
                ("/* Does. Since: 1. */\n\n" + void, "without a comment"),
                ("/* A. Since: 1. */\n" + void.replace("int32_t", "int"),
                 "int is no known type"),
                ("/* A. Since: 1. */\n" + void.replace("int32_t", "void"),
                 "is void"),
                ("/* A. Since: 1. */\n" + void.replace("x", "x, int32_t x"),
                 "two parameters"),
                ("/* A. Since: 1. */\n" + void.replace("PEFT_API ", ""),
                 "expected PEFT_API"),
                (("/* A. Since: 1. */\n" + void + "\n") * 2, "twice"),
                ("/* A. Since: 1. */\nenum peft_e { A };\n", "expected"),
                ("/* A. Since: 1. */\n#define PEFT_A(x) 1\n", "expected"),
                ("/* A. Since: 1. */\n#define PEFT_A 1u\n", "expected"),
                ("/* A. Since: 1. */\n#define PEFT_A 1\n#define PEFT_B 1\n",
                 "are equal"),
                (STATUS + "/* A. Since: 1. */\n"
                 "PEFT_API peft_status_t* peft_do(void);\n", "PEFT_MUST_USE"),
                (STATUS.replace("peft_status_t", "peft_other_t"), "expected"),
                (OPTIONS.replace("size_t struct_size", "int64_t size"),
                 "struct_size"),
                (OPTIONS.replace("fourth", "third"), "two fields"),
                (OPTIONS.replace("  float fourth;\n", "  /* Alone. */\n"),
                 "without a field"),
                (OPTIONS + "/* A. Since: 1. */\n#define PEFT_OPTIONS_INIT "
                 "{ sizeof(peft_options_t), 7 }\n", "5 fields, and 2"),
                ("/* A. Since: 1. */\n#define PEFT_OPTIONS_INIT "
                 "{ sizeof(peft_options_t), 7 }\n", "no struct"),
                ("// A. Since: 1.\n" + void, "unknown"),
        ):
            with self.subTest(body):
                with self.assertRaisesRegex(parser.HeaderError, message):
                    parse(body)

    def test_an_error_names_its_line(self):
        with self.assertRaisesRegex(parser.HeaderError, "line 20: "):
            parse("PEFT_API void peft_do(void);\n")


class RealHeaderTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.text = pathlib.Path(HEADER).read_text()
        cls.header = parser.parse_header(cls.text)

    def test_every_function_is_found(self):
        bare = re.sub(r"/\*.*?\*/", "", self.text, flags=re.DOTALL)
        called = re.findall(r"PEFT_API\s[^;]*?(peft_\w+)\(", bare)
        self.assertGreater(len(called), 100)
        self.assertEqual([function.name for function in self.header.functions],
                         called)

    def test_every_macro_is_found(self):
        macros = re.findall(r"^#define (PEFT_\w+)", self.text, re.MULTILINE)
        found = {constant.name for constant in self.header.constants}
        found |= {initializer.name for initializer in self.header.initializers}
        found |= set(self.header.attributes)
        self.assertEqual(found, set(macros) - {"PEFT_C_PEFT_C_H_"})

    def test_nothing_is_newer_than_the_header(self):
        version, = [constant.value for constant in self.header.constants
                    if constant.name == "PEFT_API_VERSION"]
        # Of declarations, and of fields that came later.
        numbers = [int(number) for number in
                   re.findall(r"\bSince:[\s*]+(\d+)", self.text)]
        self.assertEqual(max(numbers), version)
        self.assertEqual(min(numbers), 1)


if __name__ == "__main__":
    unittest.main()
