"""Prints a C file that defines all functions of a header, which do nothing.

    make_stub.py INCLUDE HEADER

INCLUDE is what the C file includes, HEADER the same file as it is read now.
"""

import pathlib
import sys

from testing.header import parser


def _definition(function):
    parameters = ", ".join(f"{p.type} {p.name}" for p in function.parameters)
    unused = " ".join(f"(void){p.name};" for p in function.parameters)
    result = "" if function.result.is_void else " return 0;"
    return (f"{function.result} {function.name}({parameters or 'void'}) "
            f"{{ {unused}{result} }}\n")


def main(include, path):
    header = parser.parse_header(pathlib.Path(path).read_text())
    sys.stdout.write(f'#include "{include}"\n\n')
    sys.stdout.writelines(map(_definition, header.functions))


if __name__ == "__main__":
    main(*sys.argv[1:])
