"""Values of a step as ctypes has them, and back."""

import ctypes as C


def texts(names):
    return (C.c_char_p * len(names))(*[n.encode() for n in names])


def floats(values):
    return None if values is None else (C.c_float * len(values))(*values)


def integers(values):
    return (C.c_int64 * len(values))(*values)


def fnv1a(array):
    value = 0xcbf29ce484222325
    for byte in array.tobytes():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"
