"""Writes a C++ function for each function of peft_c.h that calls it with random
arguments, and the tables that go with them.

  generate_calls.py PEFT_C_H ERRORS_MD HANDLE_KINDS_H CALLS_CC

Arguments are drawn by their types; the few things that types do not say are in
the tables below. What is not known is an error, so that no function and no
field of the header is left out silently.
"""

import pathlib
import re
import sys

from testing.header import errors, parser

_NUMBERS = ("int32_t", "int64_t", "uint32_t", "uint64_t", "size_t", "float",
            "double")

# What texts are for, by the names of parameters and fields. Others are any
# text.
_USES = {
    "path": "kPath",
    "for_adapters": "kPath",
    "subfolder": "kAny",
    "name": "kName",
    "names": "kName",
    "new_name": "kName",
    "adapter_names": "kName",
    "config_json": "kConfig",
    "cache_dir": "kNewPath",
}

# Functions that write to their `path`.
_WRITES = re.compile(r"peft_(model_save_|state_dict_write$|model_merge_and_)")

# The counts of arrays that do not have one of their own name: the name of the
# count, and how many elements it stands for.
_COUNTS = {
    "scales": ("num_names", 1),
    "weights": ("num_names", 1),
    "field_names": ("num_fields", 1),
    "field_values": ("num_fields", 1),
    "layer_replication": ("num_layer_ranges", 2),
    "stop_sequence_lengths": ("num_stop_sequences", 1),
    # As many as the lengths say, each of which is small or absurd.
    "stop_tokens": ("num_stop_sequences", 64),
    "data": ("size", 1),
}

# Pointers to one number, NULL for none.
_SINGLE = ("pad_token_id",)

# Fields that Adjust draws, because several describe one array.
ADJUSTED = {
    "peft_tensor_view_t": ("data", "sizes", "strides"),
    "peft_forward_input_t": ("ids", "attention_mask", "position_ids",
                             "token_type_ids"),
    "peft_file_t": ("data", "size", "fd", "user_data"),
}


class UnknownType(Exception):
    """The header has something that the generator must be taught."""


class Generator:
    """The C++ of one header."""

    def __init__(self, header):
        self.header = header
        self._handles = {handle.name for handle in header.handles}
        self._structs = {struct.name: struct for struct in header.structs}
        self._callbacks = {callback.name for callback in header.callbacks}
        self._constants = {group.name: [constant.name for constant in
                                        group.constants]
                           for group in header.groups}
        self._functions = {function.name for function in header.functions}

    # -- What types are -------------------------------------------------------

    def _is_text(self, kind):
        return str(kind) == "const char*"

    def _is_array(self, kind):
        """Many elements rather than one."""
        if not kind.is_const or self._is_text(kind):
            return False
        if len(kind.pointers) == 2:
            return True
        return len(kind.pointers) == 1 and kind.base in _NUMBERS + ("void",)

    def _use(self, name, function=""):
        if name == "path" and _WRITES.match(function):
            return "TextUse::kNewPath"
        return "TextUse::" + _USES.get(name, "kAny")

    def _constants_of(self, doc):
        """The constants that a field's comment names, as "PEFT_X_..."."""
        match = re.search(r"(PEFT_[A-Z_]+_)\.\.\.", doc)
        if not match:
            return ""
        if match.group(1) not in self._constants:
            raise UnknownType(f"no constants {match.group(1)}...")
        return ", {" + ", ".join(self._constants[match.group(1)]) + "}"

    def _count_of(self, name, siblings):
        """The C++ of the number of elements of the array `name`."""
        if name in _SINGLE:
            return "1"
        count, factor = _COUNTS.get(name, ("num_" + name, 1))
        if count in siblings:
            text = siblings[count]
        elif name in _COUNTS:
            text = f'call.CountOf("{count}")'
        else:
            raise UnknownType(f"how many elements does {name} have?")
        return text if factor == 1 else f"Times({text}, {factor})"

    # -- Drawing --------------------------------------------------------------

    def _array(self, name, kind, siblings, function=""):
        count = self._count_of(name, siblings)
        if str(kind) == "const char* const*":
            use = self._use(name, function)
            return f'call.Texts("{name}", {count}, {use})'
        if kind.base in self._handles and len(kind.pointers) == 2:
            return f'call.Handles<{kind.base}>("{name}", {count})'
        if kind.base in _NUMBERS and len(kind.pointers) == 1:
            return f'call.Numbers<{kind.base}>("{name}", {count})'
        if str(kind) == "const void*":
            return f'call.Bytes("{name}", {count})'
        raise UnknownType(f"an array {kind} {name}")

    def _in(self, name, kind, siblings, function):
        """An argument that the function reads."""
        if self._is_text(kind):
            return f'call.Text("{name}", {self._use(name, function)})'
        if self._is_array(kind):
            return self._array(name, kind, siblings, function)
        if len(kind.pointers) == 1 and kind.base in self._handles:
            return f'call.AHandle<{kind.base}>("{name}")'
        if kind.is_const and len(kind.pointers) == 1 and \
                kind.base in self._structs:
            if "num_" + name in siblings:
                count = siblings["num_" + name]
                return f'call.Structs<{kind.base}>("{name}", {count})'
            is_optional = str(name == "options").lower()
            return f'call.AStruct<{kind.base}>("{name}", {is_optional})'
        if not kind.pointers and kind.base in self._callbacks:
            return f'call.Callback<{kind.base}>("{name}")'
        if str(kind) == "void*" and name.endswith("user_data"):
            return "call.user_data()"
        if str(kind) == "void*" and name == "stream":
            # Another would be a pointer to nowhere.
            return "nullptr"
        if not kind.pointers and kind.base in _NUMBERS:
            return f'call.Number<{kind.base}>("{name}")'
        raise UnknownType(f"an argument {kind} {name}")

    def _out(self, name, kind):
        """An argument that the function writes to."""
        if kind.is_const:
            raise UnknownType(f"an argument {kind} {name}")
        if kind.base in self._handles and len(kind.pointers) == 2:
            return f'call.OutHandle<{kind.base}>("{name}")'
        if str(kind) == "struct DLManagedTensor**":
            return f'call.OutDLManagedTensor("{name}")'
        if kind.base in self._structs and len(kind.pointers) == 1:
            return f'call.OutStruct<{kind.base}>("{name}")'
        if kind.base in _NUMBERS and len(kind.pointers) == 1:
            return f'call.OutNumber<{kind.base}>("{name}")'
        raise UnknownType(f"an argument {kind} {name}")

    # -- Functions ------------------------------------------------------------

    def function(self, function):
        """The C++ function that calls `function`."""
        is_init = (function.name.endswith("_init") and
                   [p.name for p in function.parameters][1:] ==
                   ["struct_size"])
        counts = [p for p in function.parameters if self._is_count(p)]
        siblings = {count.name: count.name for count in counts}
        lines = [f'  Call call(run, "{function.name}");']
        lines += [f'  const size_t {count.name} = '
                  f'call.Count("{count.name}");' for count in counts]
        if is_init:
            lines += self._init_arguments(function)
        else:
            for parameter in function.parameters:
                if parameter not in counts:
                    lines.append(self._argument(parameter, siblings,
                                                function.name))
        if function.name.endswith("_free"):
            lines.append(f"  call.Frees({function.parameters[0].name});")
        names = ", ".join(p.name for p in function.parameters)
        lines.append(f"  call.Finish([&] {{ return {function.name}({names}); "
                     "});")
        return (f"void Call_{function.name}(Run& run) {{\n" +
                "\n".join(lines) + "\n}\n")

    def _is_count(self, parameter):
        return (str(parameter.type) == "size_t" and
                (parameter.name.startswith("num_") or
                 parameter.name == "size"))

    def _init_arguments(self, function):
        struct = function.parameters[0].type.base
        name = function.parameters[0].name
        return [f"  const size_t struct_size = DrawInitSize(call, "
                f"sizeof({struct}));",
                f'  auto* const {name} = call.InitTarget<{struct}>("{name}", '
                "struct_size);"]

    def _argument(self, parameter, siblings, function):
        name, kind = parameter.name, parameter.type
        drawn = (self._out(name, kind) if name.startswith("out_") else
                 self._in(name, kind, siblings, function))
        return f"  const auto {name} = {drawn};"

    # -- Structs --------------------------------------------------------------

    def fill(self, struct):
        """Fill for `struct`."""
        adjusted = ADJUSTED.get(struct.name, ())
        fields = [field for field in struct.fields
                  if field.name not in adjusted + ("struct_size",)]
        counts = {field.name: f"value.{field.name}" for field in fields
                  if str(field.type) == "size_t" and
                  field.name.startswith("num_")}
        lines = []
        for name in counts:
            lines += ["  if (call.Changes()) {",
                      f'    value.{name} = call.Count("{name}");', "  }"]
        for field in fields:
            if field.name in counts:
                continue
            drawn = self._field(field, counts)
            if self._is_always_drawn(field, counts):
                lines.append(f"  {drawn}")
            else:
                lines += ["  if (call.Changes()) {", f"    {drawn}", "  }"]
        body = "\n".join(lines)
        return (f"template <>\nvoid Fill(Call& call, {struct.name}& value) "
                f"{{\n{body}\n}}\n")

    def _is_always_drawn(self, field, counts):
        """An array must be as long as its count, which is drawn before."""
        count = _COUNTS.get(field.name, ("num_" + field.name,))[0]
        return field.name.endswith("user_data") or count in counts

    def _field(self, field, counts):
        name = field.name
        if field.count:
            if field.type.base not in _NUMBERS or field.type.pointers:
                raise UnknownType(f"an array {field.type} {name}")
            return (f"for (auto& element : value.{name}) element = "
                    f'call.Number<{field.type.base}>("{name}");')
        if not field.type.pointers and field.type.base in _NUMBERS:
            drawn = (f'call.Number<{field.type.base}>("{name}"'
                     f"{self._constants_of(field.doc)})")
        else:
            drawn = self._in(name, field.type, counts, "")
        return f"value.{name} = {drawn};"

    def read(self, struct):
        """Read for `struct`, its texts."""
        texts = [f"  call.TouchText(value.{field.name});"
                 for field in struct.fields if self._is_text(field.type)]
        body = "\n".join(texts) or "  (void)call;\n  (void)value;"
        return (f"template <>\nvoid Read(Call& call, const {struct.name}& "
                f"value) {{\n{body}\n}}\n")

    def defaults(self, struct):
        """Defaults for `struct`."""
        macro = struct.name[:-2].upper() + "_INIT"
        value = (macro if any(initializer.name == macro for initializer in
                              self.header.initializers) else "{}")
        return (f"template <>\n{struct.name} Defaults() {{\n"
                f"  {struct.name} value = {value};\n  return value;\n}}\n")

    # -- Tables ---------------------------------------------------------------

    def kinds(self):
        """The header with the index of each type of handle."""
        parts = ["""// Made of peft_c.h.
#ifndef TESTING_MISUSE_HANDLE_KINDS_H_
#define TESTING_MISUSE_HANDLE_KINDS_H_

#include "peft_c/peft_c.h"
#include "testing/misuse/call.h"

namespace peft {
"""]
        for index, handle in enumerate(self.header.handles):
            parts.append(f"template <>\nstruct KindOf<{handle.name}> {{\n"
                         f"  static constexpr size_t kIndex = {index};\n}};\n")
        return "\n".join(parts + ["}  // namespace peft\n\n#endif  // "
                                  "TESTING_MISUSE_HANDLE_KINDS_H_\n"])

    def _handle_info(self, handle):
        noun = handle.name[:-2]
        free = "nullptr"
        if noun + "_free" in self._functions:
            free = (f"[](void* handle) {{ {noun}_free(static_cast<"
                    f"{handle.name}*>(handle)); }}")
        is_safe = bool(re.search('[Tt]hread-safe|_BUSY"', handle.doc))
        return (f'      {{"{noun[5:]}", {free}, '
                f"{str(is_safe).lower()}}},")

    def tables(self, error_ids):
        """The functions of tables.h."""
        handles = [self._handle_info(handle)
                   for handle in self.header.handles]
        functions = [f'      {{"{function.name}", Call_{function.name}, '
                     f"{str(function.must_use).lower()}}},"
                     for function in self.header.functions]
        ids = ["      {\"%s\", {%s}}," % (
            error.id, ", ".join("PEFT_" + code for code in error.codes))
            for error in error_ids]
        return "\n".join(
            f"const std::vector<{kind}>& {kind}s() {{\n"
            f"  static const auto* const infos = new std::vector<{kind}>{{\n" +
            "\n".join(rows) + "\n  };\n  return *infos;\n}\n"
            for kind, rows in (("HandleInfo", handles),
                               ("FunctionInfo", functions),
                               ("ErrorInfo", ids)))

    def calls(self, error_ids):
        """The whole source file."""
        structs = [make(struct) for struct in self.header.structs
                   for make in (self.defaults, self.read)]
        structs += [f"template <>\nvoid Fill(Call& call, {struct.name}& "
                    "value);\n" for struct in self.header.structs]
        structs += [self.fill(struct) for struct in self.header.structs]
        functions = [self.function(function)
                     for function in self.header.functions]
        return "\n".join(["""// Made of peft_c.h and docs/errors.md.
#include "testing/misuse/call.h"
#include "testing/misuse/handle_kinds.h"
#include "testing/misuse/tables.h"

namespace peft {

// An absurd count stays one.
inline size_t Times(size_t count, size_t factor) {
  return count > 4096 ? count : count * factor;
}

inline size_t DrawInitSize(Call& call, size_t size) {
  if (call.random().Percent(60)) return size;
  return call.random().Percent(80) ? call.random().Below(4200) : ~size_t{0};
}
"""] + structs + ["namespace {\n"] + functions + ["}  // namespace\n",
                                                  self.tables(error_ids),
                                                  "}  // namespace peft\n"])


def main():
    header_path, errors_path, kinds_path, calls_path = map(pathlib.Path,
                                                           sys.argv[1:])
    generator = Generator(parser.parse_header(header_path.read_text()))
    error_ids = errors.parse_errors(errors_path.read_text())
    kinds_path.write_text(generator.kinds())
    calls_path.write_text(generator.calls(error_ids))


if __name__ == "__main__":
    main()
