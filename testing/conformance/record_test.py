"""Tests of the table that a conformance run writes."""

import pathlib
import tempfile
import unittest

from testing.conformance import record


class Adapter:

    def __init__(self, labels, kinds):
        self.labels, self.kinds = set(labels), set(kinds)


def written(recorder):
    """The table of a file that the recorder was written to."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "parity.md"
        path.write_text(f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n")
        record.write_table(path, record.render(
            recorder, ["LoRA", "IA3"], ["Linear"], [["load", "scale"]], "2"))
        text = path.read_text()
        assert text.startswith("before\n") and text.endswith("after\n")
        return record.read_table(path)


class RecordTest(unittest.TestCase):

    def setUp(self):
        self.recorder = record.Recorder()
        self.lora = Adapter(["LoRA"], ["Linear"])
        self.ia3 = Adapter(["IA3"], ["Linear"])

    def test_what_is_written_is_read_again(self):
        self.recorder.add("load", [self.lora, self.ia3], record.PASS)
        self.recorder.add("scale", [self.ia3], record.REFUSED, "0 or 1")
        self.recorder.add("scale", [self.lora], record.NOT_YET, "later")
        self.assertEqual(written(self.recorder), {
            ("LoRA", "Linear", "load"): "pass",
            ("IA3", "Linear", "load"): "pass",
            ("LoRA", "Linear", "scale"): "not yet",
            ("IA3", "Linear", "scale"): "refused"})

    def test_one_pass_outweighs_refusals(self):
        self.recorder.add("scale", [self.lora], record.REFUSED, "twice")
        self.recorder.add("scale", [self.lora], record.PASS)
        self.assertEqual(self.recorder.outcome(("LoRA", "Linear", "scale")),
                         record.PASS)

    def test_a_run_that_agrees_contradicts_nothing(self):
        self.recorder.add("load", [self.lora], record.PASS)
        self.recorder.add("scale", [self.ia3], record.REFUSED, "0 or 1")
        self.assertEqual(
            record.contradictions(self.recorder, written(self.recorder), {}),
            [])

    def test_each_change_is_a_contradiction(self):
        self.recorder.add("load", [self.lora], record.PASS)
        self.recorder.add("scale", [self.lora], record.REFUSED, "0 or 1")
        cells = {("LoRA", "Linear", "load"): "not yet",
                 ("LoRA", "Linear", "scale"): "not yet"}
        self.assertEqual(
            len(record.contradictions(self.recorder, cells, {})), 2)

    def test_what_is_not_there_yet_is_listed_with_its_reason(self):
        self.recorder.add("scale", [self.lora], record.NOT_YET, "later")
        cells = {("LoRA", "Linear", "scale"): "pass"}
        self.assertEqual(record.contradictions(
            self.recorder, cells, {("scale", "later")}), [])
        self.assertEqual(len(record.contradictions(
            self.recorder, cells, {("scale", "never")})), 1)

    def test_what_the_table_does_not_have_is_a_contradiction(self):
        self.recorder.add("load", [self.lora], record.REFUSED, "why")
        self.assertEqual(
            len(record.contradictions(self.recorder, {}, {})), 1)


if __name__ == "__main__":
    unittest.main()
