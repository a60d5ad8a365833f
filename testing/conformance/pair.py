"""Our model and PEFT's side by side: one function per verb, for both."""

import contextlib
import itertools

import numpy as np
import torch

from testing import peft_ctypes
from testing import peft_verbs as ours_module
from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import record
from testing.conformance import reference
from testing.conformance import refusals

UNIMPLEMENTED = 12


class Pair:
    """One base model, on disk for us and in memory for PEFT, with adapters.

    The state here is what PEFT's verbs say that it is; every check compares
    our output with PEFT's layers in that state."""

    def __init__(self, case):
        self.case = case
        self.rng = case.rng
        self.base = case.base
        self.ids, self.mask = case.ids, case.mask
        self.statistics = case.statistics
        self.recorder = case.recorder
        self.ours = case.open()
        self.loaded = {}   # name -> Adapter, in load order
        self.active = []   # (name, scale)
        self.factors = {}  # name -> what set_scale set
        self.merged = []   # (name, scale) in the order of merging
        self.disabled = False
        self.references = {}
        self.counter = itertools.count()

    def close(self):
        self.ours.close()

    # -- what PEFT computes

    def entries(self, chosen=None):
        """(adapter, scale) that act: the merged ones first."""
        if self.disabled:
            return []
        first = self.merged if chosen is None else []
        chosen = self.active if chosen is None else chosen
        scaled = first + [(name, scale * self.factors.get(name, 1.0))
                          for name, scale in chosen if name not in dict(first)]
        return [(self.loaded[name], scale) for name, scale in scaled]

    def nest(self, entries):
        """PEFT's layers with `entries` active. NoReference where PEFT itself
        cannot have them together."""
        self._check_comparable(entries)
        order = [a for a in self._nesting()
                 if any(a is e for e, _ in entries)]
        key = tuple(a.uid for a in order)
        if key not in self.references:
            try:
                self.references[key] = reference.Reference(
                    self.base, order, self.case.layout.output)
            except (AttributeError, TypeError, ValueError,
                    RuntimeError) as error:
                self.references[key] = reference.NoReference(str(error))
        found = self.references[key]
        if isinstance(found, reference.NoReference):
            raise found
        found.activate(entries)
        try:
            found.output(self.ids, self.mask)
        except (ValueError, RuntimeError) as error:  # PEFT's own forward
            raise reference.NoReference(str(error)) from error
        return found

    def _nesting(self):
        """Innermost first: those that are merged, each as it was loaded."""
        merged = dict(self.merged)
        return [self.loaded[name] for name in
                sorted(self.loaded, key=lambda name: name not in merged)]

    def _check_comparable(self, entries):
        adapters = [a for a, scale in entries]
        changes = [a for a in adapters if a.features["changes_base"]]
        others = [a for a in adapters if a.features["is_dora"]
                  or a.config.peft_type.value == "IA3"]
        if changes and len(adapters) > 1 and others:
            raise reference.NoReference(
                "PEFT changes the base under what depends on it")
        if changes and self.case.layout.ranges:
            raise reference.NoReference(
                "PEFT changes weights that replicated layers share")

    def check(self, what, chosen=None):
        """Compares the outputs of the state. False: PEFT has no answer."""
        got = self.ours.forward(self.ids, self.mask)
        try:
            right = self.nest(self.entries(chosen))
        except reference.NoReference:
            return False
        if self.merged and not self.disabled:
            self._check_merged(got, right, what)
        else:
            compare.check_outputs(
                self.statistics, got, right.output(self.ids, self.mask),
                lambda nudge=None: right.exact(self.ids, self.mask, nudge),
                self.mask, what)
        return True

    def _check_merged(self, got, right, what):
        """Merged weights are rounded to the base's type, PEFT's too."""
        whole = right.output(self.ids, self.mask)
        if self.case.base_dtype != torch.float32:
            try:
                rounded = right.rounded_output(
                    self.entries(), len(self.merged), self.base,
                    self.case.base_dtype, self.ids, self.mask)
            except reference.NoReference:
                return
            compare.check_reduced(self.statistics, got, rounded, whole,
                                  self.mask, what)
            return
        compare.check_outputs(
            self.statistics, got, whole,
            lambda nudge=None: right.exact(self.ids, self.mask, nudge),
            self.mask, what)

    # -- attempts

    @contextlib.contextmanager
    def attempt(self, verb, adapters, expected=None):
        """Runs a verb of ours and records it. `expected`: the error ids that
        it may be refused with here, and the table's note. Check `.done`."""
        outcome = Outcome()
        try:
            yield outcome
            outcome.done = True
        except ours_module.NotYet as error:
            self.recorder.add(verb, adapters, record.NOT_YET, str(error))
            return
        except peft_ctypes.PeftError as error:
            note = refusals.note(verb, adapters, error, expected)
            if note:
                self.recorder.add(verb, adapters, record.REFUSED, note)
            elif error.code == UNIMPLEMENTED:
                self.recorder.add(verb, adapters, record.NOT_YET, error.id)
            else:
                raise
            return
        if expected and expected.required:
            raise compare.Mismatch(f"{verb} was not refused: {expected.note}")
        self.recorder.add(verb, adapters, record.PASS)

    # -- the verbs

    def load(self, name, adapter, verb="load"):
        with self.attempt(verb, [adapter],
                          refusals.of_load(adapter)) as outcome:
            if verb == "load":
                self.ours.load(adapter.ours, name)
            else:
                self.ours.load_from_memory(name, *self._in_memory(adapter))
            self.loaded[name] = adapter
            self.active, self.merged = [(name, 1.0)], []
            if self.ours.active_adapters() != [name]:
                raise compare.Mismatch(
                    f"after load active is {self.ours.active_adapters()}")
            self.check(f"{verb} {name}")
        if not outcome.done:
            self.loaded.pop(name, None)
            self._read_state()
        return outcome

    def _in_memory(self, adapter):
        return ((adapter.ours / "adapter_config.json").read_text(),
                adapters_module.read_tensors(adapter.ours))

    def _read_state(self):
        """After a verb that did nothing: nothing may have changed."""
        names = [name for name, _ in self.active if name in self.loaded]
        if self.ours.active_adapters() != names:
            raise compare.Mismatch(
                f"active is {self.ours.active_adapters()}, not {names}")

    def set_adapter(self, choice):
        """`choice`: (name, scale), any number of them."""
        adapters = [self.loaded[name] for name, _ in choice]
        verb = "set several" if len(choice) > 1 else "set"
        scaled = [a for a, (_, scale) in zip(adapters, choice) if scale != 1]
        if scaled:
            verb = "scale"
        with self.attempt(verb, adapters,
                          refusals.of_set(self, choice)) as outcome:
            self.ours.set_adapter(
                [name for name, _ in choice],
                [scale for _, scale in choice] if scaled else None)
            self.active, self.merged = list(choice), []
            if self.ours.active_adapters() != [name for name, _ in choice]:
                raise compare.Mismatch("active_adapters differ")
            self.check(f"{verb} {choice}")
        if not outcome.done:
            self._read_state()
        return outcome

    def set_scale(self, name, factor):
        adapter = self.loaded[name]
        with self.attempt("set_scale", [adapter],
                          refusals.of_set_scale(self, name, factor)) as outcome:
            self.ours.set_scale(name, factor)
            self.factors[name] = factor
            self.check(f"set_scale {name} {factor}")
        return outcome

    def toggle(self):
        adapters = [self.loaded[name] for name, _ in self.active]
        verb = "enable" if self.disabled else "disable"
        with self.attempt("disable, enable", adapters):
            (self.ours.enable_adapters if self.disabled
             else self.ours.disable_adapters)()
            self.disabled = not self.disabled
            if self.disabled:
                self.check_is_base(verb)
            else:
                self.check(verb)

    def check_is_base(self, what):
        """Bit for bit what the base gives."""
        got = self.ours.forward(self.ids, self.mask)
        if not np.array_equal(got, self.case.base_output):
            raise compare.Mismatch(f"{what}: not the base's output, bit by bit")

    def delete(self, names):
        adapters = [self.loaded[name] for name in names]
        merged = [name for name, _ in self.merged]
        with self.attempt("delete", adapters,
                          refusals.of_delete(names, merged)) as outcome:
            self.ours.delete_adapter(names)
            for name in names:
                self.loaded.pop(name)
                self.factors.pop(name, None)
            self.active = [c for c in self.active if c[0] not in names]
            self._read_state()
            if self.active or self.merged or self.disabled:
                self.check(f"delete {names}")
            else:
                self.check_is_base(f"delete {names}")
        return outcome

    def rename(self, name, new_name):
        with self.attempt("rename", [self.loaded[name]]):
            self.ours.rename_adapter(name, new_name)
            self.loaded = {new_name if n == name else n: adapter
                           for n, adapter in self.loaded.items()}
            self.active = [(new_name if n == name else n, s)
                           for n, s in self.active]
            self.merged = [(new_name if n == name else n, s)
                           for n, s in self.merged]
            if name in self.factors:
                self.factors[new_name] = self.factors.pop(name)
            self._read_state()
            self.check(f"rename {name}")

    def replace(self, name, adapter, in_memory=False):
        """Another adapter, of any kind, takes over the name."""
        old = self.loaded[name]
        with self.attempt("replace", [old, adapter],
                          refusals.of_replace(self, name, adapter)) as outcome:
            if in_memory:
                self.ours.replace_from_memory(name, *self._in_memory(adapter))
            else:
                self.ours.replace(name, adapter.ours)
            self.loaded[name] = adapter
            self.merged = [c for c in self.merged if c[0] != name]
            self._read_state()
            self.check(f"replace {name}")
        if not outcome.done:
            self.loaded[name] = old
        return outcome

    # -- merging

    def merge(self, names, safe):
        """Merges these, or with none those that are active."""
        chosen = names or [n for n, _ in self.active]
        adapters = [self.loaded[name] for name in chosen]
        scales = dict(self.active)
        with self.attempt("merge, unmerge", adapters,
                          refusals.of_merge(self, adapters)) as outcome:
            self.ours.merge(names, safe_merge=safe)
            self.merged += [
                (n, scales.get(n, 1.0) * self.factors.get(n, 1.0))
                for n in chosen if n not in dict(self.merged)]
            self.check(f"merge {chosen}")
        return outcome

    def unmerge(self):
        """Bit by bit what it was before the merge."""
        adapters = [self.loaded[name] for name, _ in self.merged]
        with self.attempt("merge, unmerge", adapters):
            self.ours.unmerge()
            self.merged = []
            self.check("unmerge")
            active = self.active
            self.ours.set_adapter([])
            self.check_is_base("unmerge")
            self.ours.set_adapter([n for n, _ in active],
                                  [s for _, s in active])

    # -- rows with adapters of their own

    def rows(self, choices, generate=False):
        """`choices`: a list of (name, scale) for each row."""
        adapters = [self.loaded[n] for choice in choices for n, _ in choice]
        simple = all(len(c) <= 1 and all(s == 1 for _, s in c)
                     for c in choices)
        verb = "rows, generate" if generate else "rows"
        with self.attempt(verb, adapters,
                          refusals.of_rows(self, choices)) as outcome:
            names, activations = None, []
            if simple and self.rng.random() < 0.6:
                names = [c[0][0] if c else "__base__" for c in choices]
            try:
                for choice in [] if names else choices:
                    activations.append(self.ours.activation(
                        [n for n, _ in choice], [s for _, s in choice])
                        if choice else None)
                self._check_rows(choices, names, activations or None, generate)
            finally:
                for activation in activations:
                    if activation is not None:
                        self.ours.free_activation(activation)
        return outcome

    def _check_rows(self, choices, names, activations, generate):
        ids, mask = self.ids, self.mask
        if generate:
            tokens = self.ours.generate_rows(ids, mask, 8, names, activations)
        else:
            got = self.ours.forward_rows(ids, mask, names, activations)
        for row, choice in enumerate(choices):
            part = slice(row, row + 1)
            try:
                right = self.nest(self.entries(choice))
            except reference.NoReference:
                continue
            if generate:
                self._check_row_tokens(tokens, right, [row], str(choice))
                continue
            # The whole batch: dynamic RoPE depends on the longest row.
            compare.check_outputs(
                self.statistics, got[part], right.output(ids, mask)[part],
                lambda nudge=None: right.exact(ids[part], mask[part], nudge),
                mask[part],
                f"row {row}, {choice}")

    def _check_row_tokens(self, tokens, right, rows, what):
        """Compares `rows` of the tokens with what PEFT makes of the batch."""
        count = len(tokens[0])
        expected = np.array(right.generate(self.ids, self.mask, count))
        ones = np.ones_like(expected)
        for row in rows:

            def logits_after(number):
                longer = np.concatenate([self.ids, expected[:, :number]], 1)
                mask = np.concatenate([self.mask, ones[:, :number]], 1)
                return right.output(longer, mask)[row, -1]

            compare.check_tokens(
                self.statistics, tokens[row], expected[row].tolist(),
                logits_after, f"{what}, row {row}")

    def generate(self, count=16):
        """Greedy tokens of the whole batch under what is active."""
        adapters = [self.loaded[name] for name, _ in self.active]
        with self.attempt("generate", adapters):
            tokens = self.ours.generate(self.ids, self.mask, count)
            try:
                right = self.nest(self.entries())
            except reference.NoReference:
                return
            if self.merged and self.case.base_dtype != torch.float32:
                return
            self._check_row_tokens(tokens, right, range(len(tokens)),
                                   "generate")


class Outcome:
    """What became of an attempt."""
    done = False
