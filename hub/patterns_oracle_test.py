"""Patterns take what huggingface_hub's take, for random ones."""

import random
import subprocess
import sys
import unittest

from huggingface_hub.utils import filter_repo_objects

DRIVER = sys.argv.pop(1)

LETTERS = ["a", "b", "B", "/", ".", "-", "!", "]", "[", "*", "?", "\\", "é",
           "^", "*", "[a-b]", "[!a]", "a/", "json"]


class PatternsOracleTest(unittest.TestCase):

    def test_random_patterns(self):
        draw = random.Random(20261125)
        word = lambda most: "".join(
            draw.choice(LETTERS) for _ in range(draw.randrange(most)))
        pairs = [(word(7), word(7)) for _ in range(20000)]
        text = "".join(f"{pattern}\t{path}\n" for pattern, path in pairs)
        ours = subprocess.run([DRIVER], input=text, check=True, text=True,
                              capture_output=True).stdout.split()
        theirs = [
            str(len(list(filter_repo_objects([path], allow_patterns=pattern))))
            for pattern, path in pairs
        ]
        self.assertGreater(theirs.count("1"), 500)
        for pair, our, their in zip(pairs, ours, theirs):
            self.assertEqual(our, their, pair)
        self.assertEqual(len(ours), len(theirs))


if __name__ == "__main__":
    unittest.main()
