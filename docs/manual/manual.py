"""Writes the manual of peft_c.h, one HTML page without scripts.

  manual.py PEFT_C_H ERRORS_MD STYLE_CSS MANUAL_HTML
"""

import collections
import html
import pathlib
import re
import sys

from docs.manual import markup
from testing.header import declarations as d
from testing.header import errors, parser

# Texts that are a part of the manual.
_FILES = {"errors.md": "#errors"}

_KINDS = {d.Function: "function", d.Callback: "callback", d.Handle: "handle",
          d.Struct: "struct", d.ForeignStruct: "struct of another header",
          d.Initializer: "macro", d.Group: "constants"}


def slug(title):
    return "section-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def anchor_of(declaration):
    return "group-" + declaration.name if isinstance(declaration, d.Group) \
        else declaration.name


def anchors(header, error_ids):
    """Where each name of the header, and each id, is explained."""
    found = {}
    for section in header.sections:
        for declaration in section.declarations:
            if declaration.name:
                found[declaration.name] = "#" + anchor_of(declaration)
            if isinstance(declaration, d.Group):
                for constant in declaration.constants:
                    found[constant.name] = "#" + constant.name
    for name in header.attributes:
        found[name] = "#" + name
    for error in error_ids:
        found["error " + error.id] = "#error-" + error.id
    return found


class Manual:
    """The page of one header."""

    def __init__(self, header, error_ids):
        self._header = header
        self._error_ids = error_ids
        self._anchors = anchors(header, error_ids)
        self._links = markup.Links(self._anchors,
                                   [error.id for error in error_ids],
                                   _FILES)
        self._uses = self._find_uses()

    def _find_uses(self):
        """The functions, by the types of their parameters and results."""
        uses = collections.defaultdict(list)
        for function in self._header.functions:
            kinds = {parameter.type.base for parameter in function.parameters}
            for base in sorted(kinds | {function.result.base}):
                uses[base.replace("struct ", "")].append(function.name)
        return uses

    # -- Code -----------------------------------------------------------------

    def _type(self, kind):
        text = html.escape(str(kind))
        base = kind.base.replace("struct ", "")
        address = self._links.to(base)
        if address is None:
            return text
        return text.replace(base, f'<a href="{address}">{base}</a>', 1)

    def _parameters(self, parameters):
        """The list between the brackets, one on a line where it is long."""
        texts = [f"{self._type(parameter.type)} {parameter.name}"
                 for parameter in parameters]
        plain = sum(len(str(p.type)) + len(p.name) + 3 for p in parameters)
        if plain <= 44:
            return ", ".join(texts) or "void"
        return "\n    " + ",\n    ".join(texts)

    def _code(self, lines):
        return "<pre><code>" + lines + "</code></pre>"

    # -- Declarations ---------------------------------------------------------

    def _function(self, function):
        return self._code(f"{self._type(function.result)} {function.name}("
                          f"{self._parameters(function.parameters)});") + \
            self._links.paragraphs(function.doc)

    def _callback(self, callback):
        return self._code(f"typedef {self._type(callback.result)} "
                          f"(*{callback.name})("
                          f"{self._parameters(callback.parameters)});") + \
            self._links.paragraphs(callback.doc)

    def _handle(self, handle):
        return self._links.paragraphs(handle.doc)

    def _foreign(self, struct):
        return self._code(f"struct {struct.name};") + \
            self._links.paragraphs(struct.doc)

    def _struct(self, struct):
        rows = []
        for field in struct.fields:
            array = f"[{field.count}]" if field.count else ""
            notes = self._field_notes(struct, field)
            rows.append(
                f'<dt id="{struct.name}.{field.name}"><code>'
                f"{self._type(field.type)} {field.name}{array}</code>"
                f"{notes}</dt>"
                f"<dd>{self._links.paragraphs(field.doc)}</dd>")
        return (self._links.paragraphs(struct.doc) + "<dl>" +
                "\n".join(rows) + "</dl>")

    def _field_notes(self, struct, field):
        notes = []
        if field.default is not None and field.name != "struct_size":
            notes.append("default " + self._links.inline(field.default))
        if field.since != struct.since:
            notes.append(f"since {field.since}")
        return (f' <span class="since">{"; ".join(notes)}</span>' if notes
                else "")

    def _initializer(self, initializer):
        return (self._links.paragraphs(initializer.doc) +
                f"<p>Initialises a {self._links.name(initializer.struct)}.</p>")

    def _group(self, group):
        rows = [f'<dt id="{constant.name}"><code>{constant.name}</code> = '
                f"{constant.value}" +
                (f' <span class="since">since {constant.since}</span>'
                 if constant.since != group.since else "") +
                f"</dt><dd>{self._links.paragraphs(constant.doc)}</dd>"
                for constant in group.constants]
        return (self._links.paragraphs(group.doc) + "<dl>" +
                "\n".join(rows) + "</dl>")

    def _uses_of(self, name):
        names = self._uses.get(name, ())
        if not names:
            return ""
        return ('<p class="uses">Used by ' +
                ", ".join(self._links.name(use) for use in names) + "</p>")

    def _declaration(self, declaration):
        if isinstance(declaration, d.Paragraph):
            return self._links.paragraphs(declaration.doc)
        make = {d.Function: self._function, d.Callback: self._callback,
                d.Handle: self._handle, d.Struct: self._struct,
                d.ForeignStruct: self._foreign,
                d.Initializer: self._initializer,
                d.Group: self._group}[type(declaration)]
        anchor = anchor_of(declaration)
        title = declaration.name + ("..." if isinstance(declaration, d.Group)
                                    else "")
        return (f'<div class="declaration" id="{anchor}"><div class="head">'
                f'<h3><a href="#{anchor}"><code>{title}</code></a> '
                f'<span class="kind">{_KINDS[type(declaration)]}</span></h3>'
                f'<span class="since">since {declaration.since}</span></div>\n'
                f"{make(declaration)}\n{self._uses_of(declaration.name)}"
                "</div>")

    # -- The page -------------------------------------------------------------

    def _section(self, section):
        declared = "\n".join(self._declaration(declaration)
                             for declaration in section.declarations)
        return (f'<h2 id="{slug(section.title)}">{_title(section.title)}</h2>\n'
                f"{declared}")

    def _intro(self):
        """What it is with the program, and the conventions."""
        text = self._header.intro
        summary, conventions = text.split("\nConventions.", 1)
        first, rest = conventions.split("\n\n", 1)
        about = "".join(f'<dt id="{name}">{name}</dt>'
                        f"<dd>{self._links.paragraphs(doc)}</dd>"
                        for name, doc in self._header.attributes.items())
        return (self._links.paragraphs(summary.partition(": ")[2]),
                f'<h2 id="conventions">Conventions</h2>'
                f"<p>{self._links.inline(first.strip())}</p>" +
                self._links.terms(rest) +
                f"<p>Two macros mark declarations:</p><dl>{about}</dl>")

    def _errors(self):
        parts = ['<h2 id="errors">Errors</h2>',
                 "<p>Programs decide by code or id; people read the message. "
                 "Ids are never renamed and never reused.</p>"]
        section = None
        for error in self._error_ids:
            if error.section != section:
                section = error.section
                parts.append(f'<h3 id="{slug("errors " + section)}">'
                             f"{html.escape(section)}</h3>")
            codes = ", ".join(self._links.name("PEFT_" + code, code)
                              for code in error.codes)
            parts.append(
                f'<dl><dt id="error-{error.id}"><code>{error.id}</code> '
                f'<span class="since">{codes}</span></dt>'
                f"<dd><p>{self._links.markdown(error.cause)}</p>"
                f"<p>Cure: {self._links.markdown(error.cure)}</p></dd></dl>")
        return "\n".join(parts)

    def _index(self):
        names = sorted(self._anchors.items(),
                       key=lambda item: item[0].replace("error ", "").lower())
        rows = [f'<li><a href="{address}"><code>'
                f"{name.replace('error ', '')}</code></a></li>"
                for name, address in names]
        return ('<h2 id="index">Index</h2>\n<ul class="columns">\n' +
                "\n".join(rows) + "\n</ul>")

    def _nav(self):
        entries = [("conventions", "Conventions")]
        entries += [(slug(section.title), _title(section.title))
                    for section in self._header.sections]
        entries += [("errors", "Errors"), ("index", "Index")]
        return ("<nav><ul>" + "".join(
            f'<li><a href="#{anchor}">{title}</a></li>'
            for anchor, title in entries) + "</ul></nav>")

    def page(self, style):
        """The whole page, well-formed XML."""
        version, = [constant.value for constant in self._header.constants
                    if constant.name == "PEFT_API_VERSION"]
        summary, conventions = self._intro()
        body = [f"<h1>peft_c.h</h1>\n<p>The C API, number {version}.</p>",
                self._nav(), summary, conventions]
        body += [self._section(section) for section in self._header.sections]
        body += [self._errors(), self._index()]
        return _PAGE.format(style=style, body="\n".join(body))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>peft_c.h: the manual</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _title(title):
    return html.escape(title[0].upper() + title[1:], quote=False)


def main():
    header_path, errors_path, style_path, out_path = map(pathlib.Path,
                                                         sys.argv[1:])
    manual = Manual(parser.parse_header(header_path.read_text()),
                    errors.parse_errors(errors_path.read_text()))
    out_path.write_text(manual.page(style_path.read_text()))


if __name__ == "__main__":
    main()
