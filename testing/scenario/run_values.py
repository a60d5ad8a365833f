"""Values of a step as ctypes has them, and back."""

import ctypes as C

DTYPES = {9: "int64", 10: "float16", 11: "bfloat16", 12: "float32"}

def texts(names):
    return (C.c_char_p * len(names))(*[n.encode() for n in names])


def floats(values):
    return None if values is None else (C.c_float * len(values))(*values)


def integers(values):
    return (C.c_int64 * len(values))(*values)


def numbers(array):
    return {"shape": list(array.shape), "values": array}


def fnv1a(array):
    value = 0xcbf29ce484222325
    for byte in array.tobytes():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"
