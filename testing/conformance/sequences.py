"""Random sequences of verbs on a Pair, checked after each step."""

import torch

from testing.conformance import adapters
from testing.conformance import extras
from testing.conformance import fresh
from testing.conformance import odd_files
from testing.conformance import other_heads
from testing.conformance import round_trip
from testing.conformance import weighted
from testing.conformance import weighted_draw

NAMES = ["default", "german", "q_proj", "lora", "A B", "über", "0", "base"]


def methods_for(family, layout):
    """The methods that a model can take, LoRA most often."""
    if family == "layers":
        return ["lora"] * 4 + ["dora"] * 2 + ["adalora", "ia3",
                                              "target_parameters"] * 2
    if layout.ranges:
        return ["layer_replication"] * 3 + ["lora"] * 2
    methods = ["lora"] * 5 + ["dora"] * 2 + ["adalora"] * 2 + ["ia3"] * 2
    if layout.task_type == "CAUSAL_LM":
        methods += ["alora"]
    if family in ("llama", "mistral", "qwen2"):
        methods += ["target_parameters"] * 2
    return methods


class Sequence:
    """One case: some adapters, then steps drawn at random."""

    def __init__(self, pair, folder):
        self.pair = pair
        self.rng = pair.rng
        self.folder = folder
        self.methods = methods_for(pair.case.family, pair.case.layout)
        self.made = []
        self.log = []

    # -- what a step needs

    def new_adapter(self):
        method = self.rng.choice(self.methods)
        uid, seed = f"a{next(self.pair.counter)}x", self.rng.getrandbits(31)
        base, layout = self.pair.base, self.pair.case.layout
        make = adapters.make_adapter
        if self.rng.random() < 0.1 and other_heads.has_counterpart(layout):
            make = other_heads.make_adapter
        adapter = make(self.rng, base, layout, method, uid, self.folder, seed)
        self.made.append(adapter)
        return adapter

    def new_name(self):
        return next(n for n in self.rng.sample(NAMES, len(NAMES))
                    if n not in self.pair.loaded)

    def path(self):
        return self.folder / f"out{next(self.pair.counter)}"

    def some(self, at_least=1, at_most=3):
        names = list(self.pair.loaded)
        count = self.rng.randint(min(at_least, len(names)),
                                 min(at_most, len(names)))
        return self.rng.sample(names, count)

    def scale(self):
        return self.rng.choice([1.0, 1.0, 0.5, 0.0, -1.3, 2.0])

    # -- the steps

    def load(self):
        if len(self.pair.loaded) >= 5:
            return self.delete()
        verb = self.rng.choice(["load", "load", "load from memory"])
        return self.pair.load(self.new_name(), self.new_adapter(), verb)

    def set_one(self):
        return self.pair.set_adapter([(n, 1.0) for n in self.some(1, 1)])

    def set_several(self):
        return self.pair.set_adapter([(n, 1.0) for n in self.some(2)])

    def set_scaled(self):
        return self.pair.set_adapter([(n, self.scale()) for n in self.some()])

    def set_none(self):
        return self.pair.set_adapter([])

    def set_scale(self):
        return self.pair.set_scale(self.some(1, 1)[0], self.scale())

    def toggle(self):
        return self.pair.toggle()

    def delete(self):
        return self.pair.delete(self.some(1, 2))

    def rename(self):
        return self.pair.rename(self.some(1, 1)[0], self.new_name())

    def replace(self):
        return self.pair.replace(self.some(1, 1)[0], self.new_adapter(),
                                 self.rng.random() < 0.3)

    def merge(self):
        if self.pair.merged:
            return self.pair.unmerge()
        if self.pair.disabled:
            return self.toggle()
        if self.is_reduced_host():
            return self.set_one()
        names = self.some() if self.rng.random() < 0.4 else []
        if not names and not self.pair.active:
            return None
        kinds = {self.pair.loaded[n].config.peft_type for n in names}
        if len(kinds) > 1:
            names = [n for n in self.pair.loaded if n in names]
        return self.pair.merge(names, self.rng.random() < 0.5)

    def is_host(self):
        return self.pair.case.family == "layers"

    def is_reduced_host(self):
        return self.is_host() and self.pair.case.base_dtype != torch.float32

    def rows(self):
        if self.is_host():
            return self.set_several()
        choices = [self.row_choice() for _ in range(len(self.pair.ids))]
        generate = self.can_generate() and self.rng.random() < 0.3
        return self.pair.rows(choices, generate)

    def row_choice(self):
        kind = self.rng.random()
        if kind < 0.2:
            return []
        if kind < 0.6:
            return [(n, 1.0) for n in self.some(1, 1)]
        return [(n, self.scale()) for n in self.some(1, 2)]

    def can_generate(self):
        return self.pair.case.layout.task_type == "CAUSAL_LM"

    def generate(self):
        return self.pair.generate() if self.can_generate() else self.rows()

    def save(self):
        return round_trip.save_and_read(self.pair, self.some(1, 1)[0],
                                        self.path())

    def state_dict(self):
        return round_trip.check_state_dict(self.pair, self.some(1, 1)[0])

    def add_fresh(self):
        if len(self.pair.loaded) >= 5:
            return self.delete()
        return fresh.add(self.pair, self.rng.choice(self.methods),
                         self.new_name(), self.path())

    def add_weighted(self):
        if len(self.pair.loaded) >= 5:
            return self.delete()
        if not weighted_draw.candidates(self.pair):
            return self.set_one()
        return weighted.add_weighted(self.pair, self.new_name(), self.path())

    def probe(self):
        return extras.probe(self.pair, self.some(1, 1)[0])

    def estimate(self):
        return extras.estimate(self.pair, self.some(1, 1)[0])

    def limit(self):
        return extras.limit(self.pair, self.some(1, 1)[0])

    def merge_and_unload(self):
        if self.pair.disabled or not self.pair.active or self.is_host():
            return self.set_one()
        return extras.merge_and_unload(self.pair, self.path())

    def unload(self):
        return extras.unload(self.pair)

    def odd_file(self):
        adapter = self.new_adapter()
        while other_heads.lacks_biases(adapter):
            adapter = self.new_adapter()
        return odd_files.load(self.pair, adapter, self.path())

    STEPS = [(load, 4), (set_one, 2), (set_several, 4), (set_scaled, 3),
             (set_none, 1), (set_scale, 2), (toggle, 2), (delete, 2),
             (rename, 1), (replace, 3), (merge, 4), (rows, 4), (generate, 2),
             (save, 3), (state_dict, 2), (add_fresh, 2), (add_weighted, 4),
             (probe, 1), (estimate, 1), (limit, 1), (merge_and_unload, 2),
             (unload, 1), (odd_file, 2)]

    def check_bf16(self):
        """Where the base is bf16: as near to f32 as PEFT in bf16 is."""
        if self.pair.loaded and not self.is_host() and \
                self.pair.case.base_dtype == torch.bfloat16:
            extras.bf16(self.pair, self.some(1, 1)[0])

    def run_fresh(self):
        """An adapter of each method, made here and by PEFT."""
        for method in dict.fromkeys(self.methods):
            self.log.append(f"add {method}")
            fresh.add(self.pair, method, f"fresh {method}", self.path())
            if self.pair.loaded:
                self.estimate()

    def run(self, steps):
        self.pair.check_is_base("base")
        for _ in range(self.rng.randint(1, 3)):
            self.log.append("load")
            self.load()
        self.check_bf16()
        functions, weights = zip(*self.STEPS)
        for _ in range(steps):
            step = self.rng.choices(functions, weights)[0]
            needs_some = step not in (Sequence.load, Sequence.add_fresh,
                                      Sequence.toggle, Sequence.set_none,
                                      Sequence.odd_file)
            if needs_some and not self.pair.loaded:
                step = Sequence.load
            self.log.append(step.__name__)
            step(self)
