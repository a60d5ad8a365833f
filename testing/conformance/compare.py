"""How two sets of numbers are compared, and what was compared so far."""

import contextlib
import copy

import numpy as np
import torch

F32_TOLERANCE = 1e-5  # max|difference| / max|reference|
REDUCED_FACTOR = 1.05  # our error over PEFT's own, both against f32
NUDGES = 8            # samples of what rounding does to an output
NUDGE = 2.0 ** -23    # two roundings of f32, relative
TIE = 1e-5            # two best logits closer than this: either may win


class Mismatch(Exception):
    """The two sides differ, or ours did what it must not."""


class Statistics:
    """Counts what was compared, for the summary."""

    def __init__(self):
        self.comparisons = 0
        self.token_rows = 0
        self.ties = 0
        self.ill_conditioned = 0
        self.magnified = 0
        self.worst = 0.0
        self.worst_reduced = 0.0

    def __str__(self):
        return (
            f"{self.comparisons} comparisons of outputs, worst relative error "
            f"{self.worst:.1e}, but for {self.ill_conditioned} where f64 shows "
            f"that PEFT's own rounding is the larger, or ({self.magnified} of "
            f"them) that the model magnifies f32's own rounding as much; "
            f"{self.token_rows} rows of greedy tokens, {self.ties} of them up "
            f"to a tie; bf16: our error is at most {self.worst_reduced:.1e} of "
            f"PEFT's")


def left_padded_batch(rng, vocabulary, max_rows=3):
    rows = rng.randint(1, max_rows)
    lengths = [rng.randint(3, 12) for _ in range(rows)]
    width = max(lengths)
    ids = np.zeros((rows, width), np.int64)
    mask = np.zeros((rows, width), np.int64)
    for row, length in enumerate(lengths):
        ids[row, width - length:] = [
            rng.randrange(3, vocabulary) for _ in range(length)]
        mask[row, width - length:] = 1
    return ids, mask


@contextlib.contextmanager
def double_precision():
    """transformers rounds to torch.float32 inside norms and softmax, whatever
    the model's dtype: while this lasts, that name means float64."""
    torch.float32, original = torch.float64, torch.float32
    try:
        yield
    finally:
        torch.float32 = original


def output_of(result, pick="logits"):
    """The array that is compared: `pick` of a transformers model's output."""
    return getattr(result, pick)


def reference_output(model, ids, mask, pick="logits"):
    with torch.no_grad():
        result = model(input_ids=torch.from_numpy(ids),
                       attention_mask=torch.from_numpy(mask))
    return output_of(result, pick).float().numpy()


def _nudge(model, seed):
    """Makes every weight a little larger or smaller, as if each of its
    products were rounded twice: itself, and the sum that it goes into."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            signs = torch.randint(0, 2, parameter.shape, generator=generator)
            parameter.mul_(1 + NUDGE * (2 * signs.double() - 1))


def exact_output(model, ids, mask, pick="logits", nudge=None):
    """As reference_output, in f64. Rows run alone, without their padding.
    `nudge`: a seed, for the exact output of weights that are off by f32's
    rounding."""
    double = copy.deepcopy(model).double()
    if nudge is not None:
        _nudge(double, nudge)
    rows = []
    with torch.no_grad(), double_precision():
        for row, keep in enumerate(mask.astype(bool)):
            positions = np.flatnonzero(keep)
            result = double(input_ids=torch.from_numpy(ids[row:row + 1, keep]),
                            position_ids=torch.from_numpy(positions[None]))
            part = output_of(result, pick)[0].numpy()
            if part.ndim == 2:
                whole = np.zeros((len(keep), part.shape[-1]))
                whole[keep] = part
                part = whole
            rows.append(part)
    return np.stack(rows)


def relative_error(ours, reference, mask):
    """Of the positions that are no padding; of all where there are none."""
    if ours.shape != reference.shape:
        raise Mismatch(f"shapes: ours {ours.shape}, PEFT's {reference.shape}")
    if reference.ndim == 3:
        keep = mask.astype(bool)
        ours, reference = ours[keep], reference[keep]
    scale = max(np.abs(reference).max(), 1e-30)
    error = float(np.abs(ours - reference).max() / scale)
    return float("inf") if np.isnan(error) else error


def rms(got, reference, mask):
    """Of the differences, over the positions that are no padding."""
    keep = mask.astype(bool) if reference.ndim == 3 else slice(None)
    return float(np.sqrt(np.mean((got[keep] - reference[keep]) ** 2)))


def check_outputs(statistics, got, reference, exact, mask, what):
    """Fails unless `got` agrees; `exact` computes the f64 output if needed,
    that of nudged weights where it gets a seed."""
    error = relative_error(got, reference, mask)
    statistics.comparisons += 1
    if error <= F32_TOLERANCE:
        statistics.worst = max(statistics.worst, error)
        return
    # An ill-conditioned model magnifies rounding, PEFT's too. Then the one
    # further from the f64 result is to blame, but for what the rounding of
    # any f32 forward does to this very output.
    truth = exact()
    mine = relative_error(got, truth, mask)
    theirs = relative_error(reference, truth, mask)
    statistics.ill_conditioned += 1
    if mine <= max(F32_TOLERANCE, theirs):
        return
    rounding = max(relative_error(exact(seed), truth, mask)
                   for seed in range(NUDGES))
    if not mine <= rounding:
        raise Mismatch(f"{what}: outputs differ by {error:.2e} (relative); "
                       f"from f64 ours by {mine:.2e}, PEFT's by {theirs:.2e}, "
                       f"rounding by {rounding:.2e}")
    statistics.magnified += 1


def check_reduced(statistics, got, theirs, reference, mask, what):
    """`got` may be no further from the f32 `reference` than PEFT's is."""
    statistics.comparisons += 1
    if relative_error(got, reference, mask) <= F32_TOLERANCE:
        return
    # Of the mean square: the largest of a few errors is a draw of luck.
    mine, other = (rms(x, reference, mask) for x in (got, theirs))
    if not mine <= REDUCED_FACTOR * other:
        raise Mismatch(f"{what}: our error {mine:.2e}, PEFT's {other:.2e}")
    statistics.worst_reduced = max(statistics.worst_reduced, mine / other)


def check_tokens(statistics, got, expected, logits_after, what):
    """Greedy tokens of one row; `logits_after(n)` is what follows the first n
    of the expected ones. A difference is allowed at a tie only."""
    statistics.token_rows += 1
    if got == expected:
        return
    if len(got) != len(expected):
        raise Mismatch(f"{what}: {len(got)} tokens, expected {len(expected)}")
    first = next(i for i, token in enumerate(expected) if got[i] != token)
    best = np.sort(logits_after(first))
    if best[-1] - best[-2] > TIE * np.abs(best).max():
        raise Mismatch(f"{what}: token {first}: {got[first]}, expected "
                       f"{expected[first]}")
    statistics.ties += 1
