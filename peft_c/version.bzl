"""The version of the library; peft_get_build_info says it, too."""

# major.minor.patch. The major number is that of the soname (docs/abi.md).
PEFT_VERSION = "0.1.0"

PEFT_MAJOR = PEFT_VERSION.split(".")[0]
