"""C++ code for a schema of FlatBuffers."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def fbs_library(name, src, **kwargs):
    """A cc_library of what flatc makes of a schema: `x_generated.h` for `x.fbs`.

    Args:
      name: the library's name.
      src: the schema, a file of the package.
      **kwargs: cc_library's other attributes.
    """
    header = src.replace(".fbs", "_generated.h")
    native.genrule(
        name = name + "_header",
        srcs = [src],
        outs = [header],
        cmd = "$(location @flatbuffers//:flatc) --cpp -o $(@D) $<",
        tools = ["@flatbuffers//:flatc"],
    )
    cc_library(
        name = name,
        hdrs = [header],
        deps = ["@flatbuffers"],
        **kwargs
    )
