"""Reads peft_c.h; what it does not understand is an error, never skipped."""

import dataclasses
import re

from testing.header import declarations as d
from testing.header import tokens as t

HeaderError = t.HeaderError

_BASES = frozenset(("void", "char", "size_t", "int32_t", "int64_t", "uint8_t",
                    "uint32_t", "uint64_t", "float", "double"))
_SECTION = re.compile(r"-{3,} (.+)")
_SINCE = re.compile(r"\s*\bSince: (\d+)\.?$")
_DEFINE = re.compile(r"#define ([A-Z][A-Z0-9_]*) (.+)")
# The one constant that says nothing of when it came: it is what "Since" counts.
_API_VERSION = "PEFT_API_VERSION"


class _Parser:
    """One pass over the tokens."""

    def __init__(self, text):
        self._tokens = t.split(text)
        self._index = 0
        self._bases = set(_BASES)
        self._names = set()
        self._attributes = {}
        self._sections = []
        self._declarations = None

    # -- Tokens ---------------------------------------------------------------

    @property
    def _token(self):
        return self._tokens[self._index]

    def _fail(self, message, token=None):
        token = token or self._token
        raise HeaderError(token.line, f"{message} (at {token.text[:60]!r})")

    def _take(self, kind=None, text=None):
        token = self._token
        if kind not in (None, token.kind) or text not in (None, token.text):
            self._fail(f"expected {text or kind}")
        self._index += 1
        return token

    def _try(self, text):
        if self._token.kind in ("word", "mark") and self._token.text == text:
            self._index += 1
            return True
        return False

    def _directive(self, pattern):
        match = re.fullmatch(pattern, self._token.text)
        if self._token.kind != "directive" or not match:
            self._fail(f"expected {pattern}")
        self._index += 1
        return match

    def _is_next_to(self, token):
        """No blank line lies between `token` and the current one."""
        return self._token.line - token.end_line <= 1

    # -- The frame of the file ------------------------------------------------

    def parse(self):
        intro = self._take("comment").text
        guard = self._directive(r"#ifndef (\w+_H_)").group(1)
        self._directive(f"#define {guard}")
        while self._token.text.startswith("#include"):
            self._directive(r"#include <(stddef|stdint)\.h>")
        while self._token.kind != "end":
            self._item(guard)
        if self._tokens[self._index - 1].text != "#endif":
            self._fail("the include guard does not end the file")
        self._flush_section()
        return d.Header(intro, self._attributes, tuple(self._sections))

    def _item(self, guard):
        token = self._token
        if token.kind == "directive" and token.note == guard:
            self._directive("#endif")
            if self._token.kind != "end":
                self._fail("something behind the include guard")
        elif token.kind == "directive":
            self._conditional("")
        elif token.kind != "comment":
            self._fail("a declaration without a comment")
        elif _SECTION.fullmatch(token.text):
            self._flush_section()
            self._section = _SECTION.fullmatch(self._take().text).group(1)
            self._declarations = []
        else:
            self._commented(self._take())

    def _flush_section(self):
        if self._declarations is not None:
            self._sections.append(
                d.Section(self._section, tuple(self._declarations)))

    def _conditional(self, doc):
        """#if ... #endif, which holds attributes or the extern of C++."""
        self._directive(r"#if.*")
        while self._token.text != "#endif":
            if self._token.text == "extern":
                for text in ("extern", '"C"', "{"):
                    self._take(text=text)
            elif self._token.text == "}":
                self._take()
                self._take("comment", 'extern "C"')
            elif re.match("#(elif|else)", self._token.text):
                self._take()
            else:
                name = self._directive(r"#define (PEFT_API|PEFT_MUST_USE)( .*)?"
                                       ).group(1)
                self._attributes[name] = doc
        self._take()

    def _commented(self, comment):
        """What follows a comment."""
        if self._token.text.startswith("#if"):
            self._conditional(comment.text)
            return
        if self._declarations is None:
            self._fail("a declaration outside of any section", comment)
        text, since = self._since(comment)
        if not self._is_next_to(comment):
            self._add(d.Paragraph("", text, since, comment.line))
        elif self._token.kind in ("directive", "comment"):
            self._macros(comment, text, since)
        elif self._token.text == "typedef":
            self._typedef(text, since)
        elif self._token.text == "struct":
            self._foreign_struct(text, since)
        else:
            self._function(text, since)

    def _since(self, comment):
        match = _SINCE.search(comment.text)
        if match:
            return comment.text[:match.start()], int(match.group(1))
        if self._token.text.startswith("#define " + _API_VERSION):
            return comment.text, 1
        return self._fail('no "Since: N." at the end', comment)

    def _add(self, declaration):
        self._unique(declaration)
        self._declarations.append(declaration)

    def _unique(self, declaration):
        if declaration.name in self._names:
            raise HeaderError(declaration.line,
                              f"{declaration.name} is declared twice")
        if declaration.name and not isinstance(declaration, d.Group):
            self._names.add(declaration.name)

    # -- Types ----------------------------------------------------------------

    def _type(self):
        is_const = self._try("const")
        if self._try("struct"):
            base = "struct " + self._take("word").text
        else:
            base = self._take("word").text
        if base not in self._bases:
            self._index -= 1
            self._fail(f"{base} is no known type")
        pointers = []
        while self._try("*"):
            pointers.append(self._try("const"))
        return d.Type(base, is_const, tuple(pointers))

    def _parameters(self):
        self._take("mark", "(")
        if self._token.text == "void" and self._tokens[
                self._index + 1].text == ")":
            self._index += 2
            return ()
        found = []
        while True:
            kind = self._type()
            if kind.is_void:
                self._fail("a parameter that is void")
            found.append(d.Parameter(self._take("word").text, kind))
            if self._try(")"):
                break
            self._take("mark", ",")
        if len({parameter.name for parameter in found}) != len(found):
            self._fail("two parameters of one name")
        return tuple(found)

    # -- Declarations ---------------------------------------------------------

    def _function(self, doc, since):
        line = self._token.line
        self._take("word", "PEFT_API")
        must_use = self._try("PEFT_MUST_USE")
        result = self._type()
        name = self._take("word").text
        parameters = self._parameters()
        self._take("mark", ";")
        if must_use != (str(result) == "peft_status_t*"):
            self._fail(f"{name} returns {result}, and PEFT_MUST_USE is for "
                       "statuses")
        self._add(d.Function(name, doc, since, line, result, parameters,
                             must_use))

    def _foreign_struct(self, doc, since):
        line = self._take().line
        name = self._take("word").text
        self._take("mark", ";")
        self._bases.add("struct " + name)
        self._add(d.ForeignStruct(name, doc, since, line))

    def _typedef(self, doc, since):
        line = self._take().line
        if not self._try("struct"):
            self._callback(doc, since, line)
            return
        tag = self._take("word").text
        if self._try("{"):
            fields = self._fields(since)
            name = self._name_of(tag)
            self._add(d.Struct(name, doc, since, line, tag, fields))
        else:
            name = self._name_of(tag)
            self._add(d.Handle(name, doc, since, line, tag))

    def _name_of(self, tag):
        name = self._take("word", tag + "_t").text
        self._take("mark", ";")
        self._bases.add(name)
        return name

    def _callback(self, doc, since, line):
        result = self._type()
        self._take("mark", "(")
        self._take("mark", "*")
        name = self._take("word").text
        self._take("mark", ")")
        parameters = self._parameters()
        self._take("mark", ";")
        if not name.endswith("_fn"):
            self._fail(f"{name} does not end in _fn")
        self._bases.add(name)
        self._add(d.Callback(name, doc, since, line, result, parameters))

    def _fields(self, since):
        """The fields up to the brace that closes the struct."""
        fields = []
        doc, own_since = "", since
        while not self._try("}"):
            if self._token.kind == "comment":
                doc, own_since = _own_since(self._take().text, since)
                if self._token.kind == "comment" or self._token.text == "}":
                    self._fail("a comment without a field")
            field = self._field(doc, own_since)
            if (self._token.kind == "comment" and
                    self._token.line == field.line):
                trailing, own_since = _own_since(self._take().text, since)
                field = dataclasses.replace(field, doc=trailing,
                                            since=own_since)
                doc, own_since = "", since
            fields.append(field)
        if (not fields or fields[0].name != "struct_size" or
                str(fields[0].type) != "size_t"):
            self._fail("a struct that does not begin with size_t struct_size")
        if len({field.name for field in fields}) != len(fields):
            self._fail("two fields of one name")
        return tuple(fields)

    def _field(self, doc, since):
        kind = self._type()
        token = self._take("word")
        count = 0
        if self._try("["):
            count = int(self._take("number").text)
            self._take("mark", "]")
        self._take("mark", ";")
        return d.Field(token.text, doc, since, token.line, kind, count)

    # -- Macros ---------------------------------------------------------------

    def _macros(self, comment, doc, since):
        match = _DEFINE.fullmatch(self._token.text)
        if match and match.group(2).startswith("{"):
            self._initializer(match, doc, since)
            return
        constants = []
        last = comment
        while self._is_next_to(last) and self._token.kind in ("comment",
                                                              "directive"):
            own = ""
            if self._token.kind == "comment":
                own = self._take().text
            constants.append(self._constant(own, since))
            last = self._tokens[self._index - 1]
        name = d.common_prefix([constant.name for constant in constants])
        values = [constant.value for constant in constants]
        if len(set(values)) != len(values):
            self._fail(f"two of {name}... are equal", comment)
        self._add(d.Group(name, doc, since, comment.line, tuple(constants)))

    def _constant(self, doc, since):
        token = self._token
        name, value = self._directive(
            r"#define (PEFT_[A-Z0-9_]+) (-?\d+)").groups()
        if doc and token.note:
            self._fail("two comments for one constant", token)
        doc, since = _own_since(doc or token.note, since)
        constant = d.Constant(name, doc, since, token.line, int(value))
        self._unique(constant)
        return constant

    def _initializer(self, match, doc, since):
        line = self._take().line
        name, body = match.groups()
        values = _initializer_values(body, line)
        match = re.fullmatch(r"sizeof\((\w+)\)", values[0])
        if not match or name != match.group(1)[:-2].upper() + "_INIT":
            raise HeaderError(line, f"{name} begins with {values[0]!r}")
        self._set_defaults(match.group(1), values, line)
        self._add(d.Initializer(name, doc, since, line, match.group(1),
                                values))

    def _set_defaults(self, struct, values, line):
        for index, declaration in enumerate(self._declarations):
            if declaration.name != struct:
                continue
            if len(declaration.fields) != len(values):
                raise HeaderError(line, f"{struct} has "
                                  f"{len(declaration.fields)} fields, and "
                                  f"{len(values)} defaults")
            fields = tuple(dataclasses.replace(field, default=value)
                           for field, value in zip(declaration.fields, values))
            self._declarations[index] = dataclasses.replace(declaration,
                                                            fields=fields)
            return
        raise HeaderError(line, f"no struct {struct} before its defaults")


def _own_since(text, since):
    """A part's comment, and its own number where it has one."""
    match = _SINCE.search(text)
    if not match:
        return text, since
    return text[:match.start()], int(match.group(1))


def _initializer_values(body, line):
    """The values between the outer braces."""
    values, depth = [""], 0
    for character in body[1:-1]:
        depth += (character in "({") - (character in ")}")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    if not body.endswith("}") or depth != 0:
        raise HeaderError(line, f"braces of {body!r}")
    return tuple(re.sub(r"\s+", " ", value.strip()) for value in values)


def parse_header(text):
    """The Header that `text`, all of peft_c.h, declares.

    Raises HeaderError for anything that it does not understand.
    """
    return _Parser(text).parse()
