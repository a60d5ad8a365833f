"""The C++ rules under the names that rules_cc gives them.

Bazel 4.2.3 carries these rules itself, and rules_cc as Debian packages it does
not load there. BUILD files load from here as they would from rules_cc, so that
a newer Bazel only needs the real rules_cc in place of this folder.
"""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
