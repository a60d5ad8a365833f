"""Writes torch_draws.txt: what PyTorch draws, for torch_generator_test.

    python make_torch_draws.py > torch_draws.txt

A line `seed S` starts a generator; the lines after it are draws from it, in
order: the function, its arguments, the number of elements, and a hash of the
bytes that came. Needs PyTorch on an x86-64 processor with AVX2.
"""

import random

import torch


def fnv1a(tensor):
    """The 64-bit FNV-1a hash of a tensor's bytes, word by word."""
    value = 0xcbf29ce484222325
    for word in tensor.contiguous().view(torch.int32).tolist():
        value = ((value ^ (word & 0xffffffff)) * 0x100000001b3) % 2**64
    return f"{value:016x}"


def draw(kind, arguments, n):
    tensor = torch.empty(n)
    if kind == "normal":
        tensor.normal_(*arguments)
    elif kind == "uniform":
        tensor.uniform_(*arguments)
    elif kind == "bernoulli":
        tensor = torch.bernoulli(torch.full((n,), arguments[0]))
    elif kind == "randperm":
        tensor = torch.randperm(n)
    elif kind == "kaiming":
        tensor = torch.nn.Linear(int(arguments[0]), n // int(arguments[0]),
                                 bias=False).weight.detach().flatten()
    elif kind == "bias":
        torch.nn.init.uniform_(tensor, -1 / arguments[0] ** 0.5,
                               1 / arguments[0] ** 0.5)
    elif kind == "embedding":
        tensor = torch.nn.Embedding(n, 1).weight.detach().flatten()
    return tensor


def random_step(rng):
    kind = rng.choice(["normal", "normal", "uniform", "bernoulli", "randperm",
                       "kaiming", "bias", "embedding"])
    n = rng.choice([rng.randrange(1, 16), 16 * rng.randrange(1, 9),
                    rng.randrange(16, 200)])
    if kind == "normal":
        # Torch adds the mean after rounding in one step or in two, as the
        # compiler chose: it is 0 wherever PEFT draws.
        return kind, [0.0, rng.choice([1.0, 0.02, rng.uniform(0, 3)])], n
    if kind == "uniform":
        low = rng.uniform(-2, 2)
        return kind, [low, low + rng.uniform(0, 3)], n
    if kind == "bernoulli":
        return kind, [rng.uniform(0, 1)], n
    if kind in ("kaiming", "bias"):
        fan_in = rng.randrange(1, 40)
        return kind, [float(fan_in)], fan_in * rng.randrange(1, 9)
    return kind, [], n


def main():
    rng = random.Random("torch_draws")
    cases = [(rng.choice([rng.randrange(10), rng.getrandbits(32),
                          rng.getrandbits(64)]),
              [random_step(rng) for _ in range(rng.randrange(1, 8))])
             for _ in range(80)]
    large = [("normal", [0.0, 1.0], 1_000_003),
             ("uniform", [-0.25, 0.5], 1_000_003),
             ("randperm", [], 1_000_003)]
    cases.append((0, large))
    for seed, steps in cases:
        torch.manual_seed(seed)
        print("seed", seed)
        for kind, arguments, n in steps:
            print(kind, *arguments, n, fnv1a(draw(kind, arguments, n)))


main()
