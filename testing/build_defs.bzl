"""The rules that every BUILD file of the project uses."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def peft_cc_library(name, **kwargs):
    """A cc_library; here so that options for all of them have one place."""
    cc_library(name = name, **kwargs)

def peft_cc_binary(name, **kwargs):
    """A cc_binary; here so that options for all of them have one place."""
    cc_binary(name = name, **kwargs)

def peft_cc_test(
        name,
        deps = [],
        size = "small",
        sanitize = False,
        sanitize_threads = False,
        **kwargs):
    """A googletest test.

    Args:
      name: the test's name.
      deps: its dependencies; googletest's main function is added.
      size: Bazel's size: small is at most a minute.
      sanitize: also runs the test with the address and undefined behaviour
        sanitizers, as `<name>_asan`. For parsers and the C ABI.
      sanitize_threads: also runs it with the thread sanitizer, `<name>_tsan`.
      **kwargs: cc_test's other attributes.
    """
    cc_test(
        name = name,
        size = size,
        deps = deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )
