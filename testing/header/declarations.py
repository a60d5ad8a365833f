"""What peft_c.h declares, as plain values."""

import dataclasses
import os
import typing


@dataclasses.dataclass(frozen=True)
class Type:
    """A C type: a base, and the pointers to it from the inside out.

    `const char* const*` has the base "char", is_const, and the pointers
    (True, False): the inner one is const.
    """
    base: str
    is_const: bool = False
    pointers: typing.Tuple[bool, ...] = ()

    def __str__(self):
        return (("const " if self.is_const else "") + self.base +
                "".join("* const" if is_const else "*"
                        for is_const in self.pointers))

    @property
    def is_void(self):
        return self.base == "void" and not self.pointers


@dataclasses.dataclass(frozen=True)
class Parameter:
    name: str
    type: Type


@dataclasses.dataclass(frozen=True)
class Declaration:
    """`doc` is the comment without its frame and without "Since: N."."""
    name: str
    doc: str
    since: int
    line: int


@dataclasses.dataclass(frozen=True)
class Function(Declaration):
    result: Type
    parameters: typing.Tuple[Parameter, ...]
    must_use: bool


@dataclasses.dataclass(frozen=True)
class Callback(Declaration):
    """A typedef of a pointer to a function."""
    result: Type
    parameters: typing.Tuple[Parameter, ...]


@dataclasses.dataclass(frozen=True)
class Handle(Declaration):
    """An opaque type."""
    tag: str


@dataclasses.dataclass(frozen=True)
class Field(Declaration):
    """`count` is 0 unless the field is an array. `default` is the text of its
    value in the _INIT macro, None where the struct has none."""
    type: Type
    count: int
    default: typing.Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Struct(Declaration):
    tag: str
    fields: typing.Tuple[Field, ...]


@dataclasses.dataclass(frozen=True)
class ForeignStruct(Declaration):
    """A struct that another header defines."""


@dataclasses.dataclass(frozen=True)
class Initializer(Declaration):
    """A macro with a struct's defaults, `values` in the order of its fields."""
    struct: str
    values: typing.Tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Constant(Declaration):
    value: int


@dataclasses.dataclass(frozen=True)
class Group(Declaration):
    """Constants under one comment; `name` is what their names begin with, as
    "PEFT_DTYPE_"."""
    constants: typing.Tuple[Constant, ...]


@dataclasses.dataclass(frozen=True)
class Paragraph(Declaration):
    """A comment that belongs to no declaration. It has no name."""


@dataclasses.dataclass(frozen=True)
class Section:
    title: str
    declarations: typing.Tuple[Declaration, ...]


@dataclasses.dataclass(frozen=True)
class Header:
    """`intro` is the comment that the file begins with; `attributes` the
    macros that mark declarations, by name with their comments."""
    intro: str
    attributes: typing.Dict[str, str]
    sections: typing.Tuple[Section, ...]

    def _all(self, kind):
        return tuple(declaration for section in self.sections
                     for declaration in section.declarations
                     if isinstance(declaration, kind))

    @property
    def functions(self):
        return self._all(Function)

    @property
    def callbacks(self):
        return self._all(Callback)

    @property
    def handles(self):
        return self._all(Handle)

    @property
    def structs(self):
        return self._all(Struct)

    @property
    def foreign_structs(self):
        return self._all(ForeignStruct)

    @property
    def initializers(self):
        return self._all(Initializer)

    @property
    def groups(self):
        return self._all(Group)

    @property
    def constants(self):
        return tuple(constant for group in self.groups
                     for constant in group.constants)


def common_prefix(names):
    """What all names begin with, up to an underscore."""
    if len(names) == 1:
        return names[0].rpartition("_")[0] + "_"
    return os.path.commonprefix(names).rpartition("_")[0] + "_"
