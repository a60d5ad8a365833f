"""The ABI of peft_c.h as lines of text, and what may become of them.

A line is "kind name: what it is". Two dumps are compared by kind and name.
"""

import re
import subprocess

_LINE = re.compile(r"(\w+ [\w.]+): (.+)")
_STRUCT = re.compile(r"(\d+) bytes, aligned to (\d+), since (\d+)")
_FIELD = re.compile(r".* at (\d+), since (\d+)")
_VERSION = "constant PEFT_API_VERSION"


def layout_source(header):
    """The text of a C program that prints "struct size alignment" and
    "struct.field offset" lines."""
    lines = ['#include <stddef.h>', '#include <stdio.h>', '',
             '#include "peft_c/peft_c.h"', '', 'int main(void) {']
    for struct in header.structs:
        name = struct.name
        # Before C11 there is no other word for alignment.
        lines += ['  {', f'    struct pad {{ char c; {name} s; }};',
                  f'    printf("{name} %zu %zu\\n", sizeof({name}),',
                  '           offsetof(struct pad, s));', '  }']
        lines += [f'  printf("{name}.{field.name} %zu\\n", '
                  f'offsetof({name}, {field.name}));'
                  for field in struct.fields]
    return "\n".join(lines + ["  return 0;", "}", ""])


def read_layout(program):
    """Runs what layout_source gave: name to its numbers, as texts."""
    text = subprocess.run([program], check=True, capture_output=True,
                          encoding="utf-8").stdout
    return {words[0]: words[1:] for words in map(str.split, text.splitlines())}


def _signature(callable_):
    parameters = ", ".join(str(p.type) for p in callable_.parameters)
    return f"{callable_.result} ({parameters}), since {callable_.since}"


def dump(header, layout):
    """The lines of the dump: of `header`, a parser's, with `layout`, what
    read_layout gave."""
    lines = [f"constant {c.name}: {c.value}" +
             ("" if c.name == _VERSION.split()[1] else f", since {c.since}")
             for c in header.constants]
    lines += [f"handle {h.name}: since {h.since}" for h in header.handles]
    lines += [f"callback {c.name}: {_signature(c)}" for c in header.callbacks]
    for struct in header.structs:
        size, alignment = layout[struct.name]
        lines.append(f"struct {struct.name}: {size} bytes, "
                     f"aligned to {alignment}, since {struct.since}")
        for field in struct.fields:
            name = f"{struct.name}.{field.name}"
            count = f"[{field.count}]" if field.count else ""
            lines.append(f"field {name}: {field.type}{count} "
                         f"at {layout[name][0]}, since {field.since}")
    lines += [f"function {f.name}: {_signature(f)}" for f in header.functions]
    return lines


def _entries(lines):
    entries = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if not match or match[1] in entries:
            raise ValueError(f"no line of a dump, or one twice: {line!r}")
        entries[match[1]] = match[2]
    return entries


def _since(value):
    return int(value.rpartition("since ")[2])


def _check_change(key, old, new):
    """What is wrong with `old` being `new` now; None where that is allowed."""
    if key == _VERSION and int(new) > int(old):
        return None
    if key.startswith("struct "):
        was, now = _STRUCT.fullmatch(old), _STRUCT.fullmatch(new)
        if was.groups()[1:] == now.groups()[1:] and int(now[1]) > int(was[1]):
            return None
    return f"{key} was {old!r} and is now {new!r}"


def _check_addition(key, value, old, version):
    """What is wrong with the addition of `key`; None for nothing."""
    if _since(value) > version:
        return f"{key} is new and says since {_since(value)}, but the API " \
               f"number is {version}"
    struct = old.get("struct " + key.split()[-1].partition(".")[0])
    if key.startswith("field ") and struct:
        size = int(_STRUCT.fullmatch(struct)[1])
        if int(_FIELD.fullmatch(value)[1]) < size:
            return f"{key} lies in the padding at the end of the struct as " \
                   f"older programs have it, which may hold anything: put a " \
                   f"field of 4 bytes in its place that is not read"
    return None


def compare(old_lines, new_lines):
    """What breaks programs, and what was added, as two lists of texts."""
    old, new = _entries(old_lines), _entries(new_lines)
    version = int(new[_VERSION])
    added = [key for key in new if key not in old]
    broken = [f"{key} is gone" for key in old if key not in new]
    broken += [_check_change(key, old[key], new[key])
               for key in old if old[key] != new.get(key, old[key])]
    broken += [_check_addition(key, new[key], old, version) for key in added]
    return [text for text in broken if text], added
