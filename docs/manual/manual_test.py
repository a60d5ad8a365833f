"""The manual has all of the header, leads nowhere wrong and is well-formed."""

import pathlib
import re
import sys
import unittest
import xml.etree.ElementTree

from docs.manual import markup
from testing.header import errors, parser

MANUAL, HEADER, ERRORS = sys.argv[1:]
del sys.argv[1:]


class ManualTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.page = pathlib.Path(MANUAL).read_text()
        cls.root = xml.etree.ElementTree.fromstring(cls.page)
        cls.header = parser.parse_header(pathlib.Path(HEADER).read_text())
        cls.error_ids = errors.parse_errors(pathlib.Path(ERRORS).read_text())
        cls.ids = [element.get("id") for element in cls.root.iter()
                   if element.get("id")]
        cls.addresses = {element.get("href") for element in cls.root.iter("a")}

    def text_of(self, anchor):
        element, = [element for element in self.root.iter()
                    if element.get("id") == anchor]
        return " ".join("".join(element.itertext()).split())

    def test_it_is_html_5_and_well_formed(self):
        self.assertTrue(self.page.startswith("<!DOCTYPE html>\n<html lang="))
        self.assertNotIn("<script", self.page)

    def test_anchors_are_unique(self):
        self.assertEqual(len(self.ids), len(set(self.ids)))

    def test_every_link_leads_somewhere(self):
        self.assertGreater(len(self.addresses), 250)
        for address in self.addresses:
            self.assertEqual(address[0], "#")
            self.assertIn(address[1:], self.ids)

    def test_every_declaration_is_there_with_all_of_its_comment(self):
        declared = [declaration for section in self.header.sections
                    for declaration in section.declarations
                    if declaration.name]
        self.assertGreater(len(declared), 150)
        for declaration in declared:
            anchor = declaration.name
            if declaration in self.header.groups:
                anchor = "group-" + anchor
            text = self.text_of(anchor)
            self.assertIn(f"since {declaration.since}", text)
            for word in re.findall(r"\w{4,}", declaration.doc):
                self.assertIn(word, text)

    def test_every_parameter_field_and_constant_is_there(self):
        for function in self.header.functions + self.header.callbacks:
            for parameter in function.parameters:
                self.assertIn(f"{parameter.type} {parameter.name}",
                              self.text_of(function.name))
        for struct in self.header.structs:
            for field in struct.fields:
                self.assertIn(f"{field.type} {field.name}",
                              self.text_of(f"{struct.name}.{field.name}"))
        for constant in self.header.constants:
            self.assertIn(f"{constant.name} = {constant.value}",
                          self.text_of(constant.name))

    def test_every_error_has_its_codes(self):
        for error in self.error_ids:
            self.assertIn(error.id + " " + ", ".join(error.codes),
                          self.text_of("error-" + error.id))

    def test_every_name_is_in_the_index(self):
        names = [function.name for function in self.header.functions]
        names += [constant.name for constant in self.header.constants]
        names += [error.id for error in self.error_ids]
        index, = [element for element in self.root.iter("ul")
                  if element.get("class") == "columns"]
        listed = {"".join(entry.itertext()) for entry in index}
        self.assertEqual(set(names) - listed, set())

    def test_conventions_come_first(self):
        first = min(self.ids.index(function.name)
                    for function in self.header.functions)
        self.assertLess(self.ids.index("conventions"), first)
        self.assertLess(self.ids.index("convention-errors"), first)


class MarkupTest(unittest.TestCase):

    def setUp(self):
        self.links = markup.Links(
            {"peft_do": "#peft_do", "PEFT_KIND_": "#kinds",
             "error A_BC": "#error", "PEFT_NOT_FOUND": "#code"},
            ["A_BC"], {"errors.md": "#errors"})

    def test_names_become_links(self):
        for text, expected in (
                ("peft_do", '<a href="#peft_do"><code>peft_do</code></a>'),
                ("`peft_do`", '<a href="#peft_do"><code>peft_do</code></a>'),
                ("PEFT_KIND_...",
                 '<a href="#kinds"><code>PEFT_KIND_...</code></a>'),
                ('"A_BC"', '"<a href="#error"><code>A_BC</code></a>"'),
                ('"LORA"', '"LORA"'),
                ("NOT_FOUND", '<a href="#code">NOT_FOUND</a>'),
                ("HF_HOME is IGNORED", "HF_HOME is IGNORED"),
                ("docs/errors.md", '<a href="#errors">docs/errors.md</a>'),
                ("docs/c-api.md", "docs/c-api.md"),
                ("`a < b`", "<code>a &lt; b</code>"),
                ("peft_don", "<code>peft_don</code>"),
                ("a *word*, 2 * 3 * 4", "a <em>word</em>, 2 * 3 * 4")):
            self.assertEqual(self.links.inline(text), expected)

    def test_lists(self):
        self.assertEqual(
            self.links.paragraphs(
                "While so:\n  one\n    goes on;\n  two.\nEnd."),
            "<p>While so:</p>\n<ul>\n<li>one goes on;</li>\n<li>two.</li>\n"
            "</ul>\n<p>End.</p>")

    def test_programs(self):
        self.assertEqual(self.links.paragraphs("See:\n\n  a < b;\n    c();"),
                         "<p>See:</p>\n<pre><code>a &lt; b;\n  c();"
                         "</code></pre>")

    def test_terms(self):
        self.assertEqual(
            self.links.terms("Errors: as such\n  and so.\nText is UTF-8."),
            '<dl class="terms">\n<dt id="convention-errors">Errors</dt><dd>As '
            'such and so.'
            '</dd>\n<dt id="convention-text">Text</dt><dd>Text is UTF-8.</dd>'
            "\n</dl>")


if __name__ == "__main__":
    unittest.main()
