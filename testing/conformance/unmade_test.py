"""Tests of which errors let a draft be drawn again."""

import unittest

from testing.conformance import unmade


def masked(error):
    """`error` as it is where clean-up after it fails, too."""
    try:
        try:
            raise error
        finally:
            raise ValueError("Adapter x does not exist")
    except ValueError as last:
        return last


class UnmadeTest(unittest.TestCase):

    def test_what_is_listed_has_a_reason(self):
        for error in (
                ValueError("Unknown initialization init_lora_weights='pissa'"),
                ValueError("Target modules {'a'} not found in the base model"),
                RuntimeError("Error(s):\n\tsize mismatch for a.x_start.weight"),
                masked(IndexError("index 2 is out of range"))):
            self.assertIsNotNone(unmade.reason(error), error)

    def test_anything_else_has_none(self):
        for error in (
                ValueError("The `init_lora_weights` parameter of the initial "
                           "adapter should be set to `True`."),
                ValueError("Unknown initialization init_lora_weights='pisa'"),
                RuntimeError("size mismatch for a.x.weight"),
                masked(FileNotFoundError("adapter_config.json")),
                masked(ValueError("Can't find 'adapter_config.json'"))):
            self.assertIsNone(unmade.reason(error), error)


if __name__ == "__main__":
    unittest.main()
