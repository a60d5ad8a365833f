"""Compares the SDK with transformers and PEFT on random models and adapters.

Each case makes a tiny model of a random family, one or two random LoRA
adapters saved by PEFT, and runs both sides: logits of a left-padded batch for
the base model and every combination of adapters, and 32 greedy tokens. The
SDK is called through its C ABI.

  conformance_test.py --library libpeft.so [--cases 200] [--seed S] [--only I]
"""

import argparse
import contextlib
import copy
import pathlib
import random
import sys
import tempfile
import time
import traceback
import warnings

import numpy as np
import peft
import safetensors.torch
import torch
import transformers

from testing import peft_ctypes
from testing.conformance import random_adapters
from testing.conformance import random_models

F32_TOLERANCE = 1e-5  # max|difference| / max|reference|
BF16_FACTOR = 1.2     # our error over PEFT's own, both against f32
TIE = 1e-5            # two best logits closer than this: either may win


class Mismatch(Exception):
    """The two sides differ, or ours failed."""


class Statistics:
    """Counts what was compared, for the summary."""

    def __init__(self):
        self.comparisons = 0
        self.token_rows = 0
        self.ties = 0
        self.ill_conditioned = 0
        self.worst = 0.0
        self.worst_bf16 = 0.0

    def __str__(self):
        return (
            f"{self.comparisons} logit comparisons, worst relative error "
            f"{self.worst:.1e}, but for {self.ill_conditioned} where f64 shows "
            f"that PEFT's own rounding is the larger; {self.token_rows} rows "
            f"of 32 greedy tokens, {self.ties} of them up to a tie; bf16: our "
            f"error is at most {self.worst_bf16:.1e} of PEFT's")


def left_padded_batch(rng):
    rows = rng.choice([1, 2, 3])
    lengths = [rng.randint(3, 12) for _ in range(rows)]
    width = max(lengths)
    ids = np.zeros((rows, width), np.int64)
    mask = np.zeros((rows, width), np.int64)
    for row, length in enumerate(lengths):
        ids[row, width - length:] = [
            rng.randrange(3, random_models.VOCABULARY) for _ in range(length)]
        mask[row, width - length:] = 1
    return ids, mask


def reference_logits(model, ids, mask):
    with torch.no_grad():
        output = model(input_ids=torch.from_numpy(ids),
                       attention_mask=torch.from_numpy(mask))
    return output.logits.float().numpy()


@contextlib.contextmanager
def double_precision():
    """transformers rounds to torch.float32 inside norms and softmax, whatever
    the model's dtype: while this lasts, that name means float64."""
    torch.float32, original = torch.float64, torch.float32
    try:
        yield
    finally:
        torch.float32 = original


def exact_logits(model, ids, mask):
    """As reference_logits, in f64. Rows run alone, without their padding."""
    double = copy.deepcopy(model).double()
    positions = np.arange(ids.shape[1])
    output = np.zeros((*ids.shape, random_models.VOCABULARY))
    with torch.no_grad(), double_precision():
        for row, keep in enumerate(mask.astype(bool)):
            output[row, keep] = double(
                input_ids=torch.from_numpy(ids[row:row + 1, keep]),
                position_ids=torch.from_numpy(positions[None, keep]),
            ).logits[0].numpy()
    return output


def relative_error(ours, reference, mask):
    keep = mask.astype(bool)
    scale = np.abs(reference[keep]).max()
    return float(np.abs(ours[keep] - reference[keep]).max() / scale)


def compare_logits(case, ours, model, what):
    got = ours.forward(case.ids, case.mask)
    reference = reference_logits(model, case.ids, case.mask)
    error = relative_error(got, reference, case.mask)
    case.statistics.comparisons += 1
    if error <= F32_TOLERANCE:
        case.statistics.worst = max(case.statistics.worst, error)
        return
    # An ill-conditioned model magnifies rounding, PEFT's too. Then the one
    # further from the f64 result is to blame.
    exact = exact_logits(model, case.ids, case.mask)
    mine = relative_error(got, exact, case.mask)
    theirs = relative_error(reference, exact, case.mask)
    if not mine <= max(F32_TOLERANCE, theirs):
        raise Mismatch(f"{what}: logits differ by {error:.2e} (relative); from "
                       f"f64 ours by {mine:.2e}, PEFT's by {theirs:.2e}")
    case.statistics.ill_conditioned += 1


def compare_tokens(case, ours, model, what):
    """32 greedy tokens; a difference is allowed at a tie only."""
    got = ours.generate(case.ids, case.mask, 32)
    with torch.no_grad():
        sequences = model.generate(
            input_ids=torch.from_numpy(case.ids),
            attention_mask=torch.from_numpy(case.mask), do_sample=False,
            max_new_tokens=32, min_new_tokens=32, eos_token_id=None,
            pad_token_id=0)
    width = case.ids.shape[1]
    for row in range(case.ids.shape[0]):
        expected = sequences[row, width:].tolist()
        case.statistics.token_rows += 1
        if got[row] == expected:
            continue
        first = next(i for i in range(32) if got[row][i] != expected[i])
        prefix = sequences[row:row + 1, :width + first].numpy()
        mask = np.concatenate(
            [case.mask[row:row + 1], np.ones((1, first), np.int64)], axis=1)
        best = np.sort(reference_logits(model, prefix, mask)[0, -1])
        if best[-1] - best[-2] > TIE * np.abs(best).max():
            raise Mismatch(f"{what}: row {row}, token {first}: "
                           f"{got[row][first]}, expected {expected[first]}")
        case.statistics.ties += 1


def compare_state_dict(ours, name, folder):
    """get_adapter_state_dict gives the file's tensors, without the prefix."""
    file = folder / "adapter_model.safetensors"
    if file.exists():
        expected = safetensors.torch.load_file(file)
    else:
        expected = torch.load(folder / "adapter_model.bin", weights_only=True)
    got = ours.state_dict(name)
    names = {k.removeprefix("base_model.model."): v
             for k, v in expected.items()}
    if set(got) != set(names):
        raise Mismatch(f"state dict names differ: {set(got) ^ set(names)}")
    for key, tensor in names.items():
        bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 \
            else tensor
        if not np.array_equal(got[key].view(bits.numpy().dtype),
                              bits.numpy()):
            raise Mismatch(f"state dict tensor {key} differs")


class Case:
    """One random model with its adapters, on disk and in PEFT."""

    def __init__(self, seed, index, folder, statistics):
        self.rng = random.Random(f"{seed}/{index}")
        self.torch_seed = self.rng.getrandbits(31)
        self.folder = pathlib.Path(folder)
        self.statistics = statistics
        self.family = self.rng.choice(random_models.FAMILIES)
        self.model = random_models.make_model(self.rng, self.family,
                                              self.torch_seed)
        self.base_dtype = self.rng.choice(
            [torch.float32, torch.float32, torch.bfloat16, torch.float16])
        shard = self.rng.choice([None, None, "20KB"])
        random_models.save_model(copy.deepcopy(self.model),
                                 self.folder / "base", self.base_dtype, shard)
        self.ids, self.mask = left_padded_batch(self.rng)
        self.adapters = {}

    def num_layers(self):
        return self.model.config.num_hidden_layers

    def add_adapters(self):
        """Makes a PeftModel with one or two random adapters, saved."""
        generator = torch.Generator().manual_seed(self.torch_seed + 1)
        names = ["default", "second"][:self.rng.choice([1, 1, 2])]
        peft_model = None
        for name in names:
            config = self.fitting_config()
            if peft_model is None:
                peft_model = peft.get_peft_model(
                    copy.deepcopy(self.model), config, adapter_name=name)
            else:
                config.bias = "none"  # PEFT allows one adapter with biases
                peft_model.add_adapter(name, config)
            peft_model.set_adapter(name)
            random_adapters.randomize_adapter(peft_model, name, generator)
            self.adapters[name] = random_adapters.save_adapter(
                peft_model, name, self.folder / "adapters", self.rng)
        return peft_model.eval()

    def fitting_config(self):
        """A random config that PEFT accepts for this model."""
        for _ in range(50):
            config = random_adapters.random_lora_config(self.rng,
                                                        self.num_layers())
            try:
                peft.get_peft_model(copy.deepcopy(self.model),
                                    copy.deepcopy(config))
                return config
            except ValueError:
                continue
        raise RuntimeError("no random config fits; widen the generator")

    def describe(self):
        text = [f"family {self.family}, base {self.base_dtype}, "
                f"rope {self.model.config.rope_parameters}"]
        for name, folder in self.adapters.items():
            text.append(f"{name}: {random_adapters.describe(folder)}")
        return "\n    ".join(text)


def check_bf16(case, peft_model):
    """In bf16 we must be no further from f32 than PEFT itself is."""
    ours = peft_ctypes.Model(case.library, case.folder / "base")
    base = copy.deepcopy(case.model).to(torch.bfloat16)
    loaded = peft.PeftModel.from_pretrained(
        base, case.adapters["default"]).eval()
    ours.load_adapter(case.adapters["default"], "default")
    peft_model.set_adapter("default")
    reference = reference_logits(peft_model, case.ids, case.mask)
    theirs = relative_error(reference_logits(loaded, case.ids, case.mask),
                            reference, case.mask)
    mine = relative_error(ours.forward(case.ids, case.mask), reference,
                          case.mask)
    ours.close()
    if mine > BF16_FACTOR * theirs:
        raise Mismatch(f"bf16: our error {mine:.2e}, PEFT's {theirs:.2e}")
    case.statistics.worst_bf16 = max(case.statistics.worst_bf16,
                                     mine / max(theirs, 1e-30))


def with_active(peft_model, names):
    peft_model.base_model.set_adapter(names)
    return peft_model


def run_case(case):
    peft_model = case.add_adapters()
    ours = peft_ctypes.Model(case.library, case.folder / "base")
    compare_logits(case, ours, case.model, "base")
    for name, folder in case.adapters.items():
        ours.load_adapter(folder, name)
        if ours.active_adapters() != [name]:
            raise Mismatch(f"after load active is {ours.active_adapters()}")
        compare_state_dict(ours, name, folder)
    names = list(case.adapters)
    has_bias = any(
        random_adapters.describe(f).get("bias", "none") != "none"
        for f in case.adapters.values())
    for active in [[n] for n in names] + ([names] if len(names) > 1 else []):
        ours.set_adapter(active)
        if has_bias and active != ["default"]:
            continue  # PEFT's base keeps the trained biases: no reference
        compare_logits(case, ours, with_active(peft_model, active),
                       f"adapters {active}")
    ours.set_adapter(["default"])
    compare_tokens(case, ours, with_active(peft_model, ["default"]), "tokens")
    ours.disable_adapters()
    compare_logits(case, ours, case.model, "disabled")
    ours.enable_adapters()
    ours.delete_adapter(names)
    compare_logits(case, ours, case.model, "deleted")
    ours.close()
    if case.base_dtype == torch.bfloat16:
        check_bf16(case, peft_model)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", default="20261123")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case alone")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")  # PEFT explains its defaults at length
    library = peft_ctypes.Library(arguments.library)
    statistics = Statistics()
    first = arguments.first if arguments.only is None else arguments.only
    count = arguments.cases if arguments.only is None else 1
    print(f"seed {arguments.seed}, cases {first} to {first + count - 1}")
    start, failed = time.time(), []
    for index in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            case = Case(arguments.seed, index, folder, statistics)
            case.library = library
            try:
                run_case(case)
            except (Mismatch, peft_ctypes.PeftError) as error:
                failed.append(index)
                print(f"case {index} FAILED: {error}\n    {case.describe()}")
            except Exception:
                failed.append(index)
                print(f"case {index} BROKE\n    {case.describe()}")
                traceback.print_exc()
    print(f"{count - len(failed)} of {count} cases agree, "
          f"{time.time() - start:.0f} s; {statistics}")
    if failed:
        print(f"repeat one: --seed {arguments.seed} --only {failed[0]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
