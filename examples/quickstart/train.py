#!/usr/bin/env python3
"""Trains the quickstart's base model and its three adapters.

The base is a small Llama that writes a number in English words. On the frozen
base, Python PEFT trains three adapters that make it answer in German, French
and Roman numerals. Nothing trains on the numbers in heldout.json; after each
training the saved files are read back and measured on them.

  python3 train.py                   trains everything and writes it here
  python3 train.py --only german     trains one adapter on the base that is here
  python3 train.py --evaluate        measures what is here
  python3 train.py --evaluate --all  measures it on every number in range

Needs torch 2.13.0, transformers 5.23.0 and peft 0.21.2.
"""

import argparse
import json
import math
import pathlib
import random
import sys
import time

import peft
import torch
import transformers

import numerals

SEED = 20240607
PAD, BOS, EOS = 0, 1, 2
CHARACTERS = (
    "0123456789= -abcdefghijklmnopqrstuvwxyzäöüßéèêIVXLCDM"
)
LETTERS = CHARACTERS[CHARACTERS.index("a"):]
# Numbers below this are all trained on: there are too few of them for the
# rest to teach, say, how 17 is written.
HELDOUT_FROM, HELDOUT_COUNT = 100, 200
# The longest answer has 46 characters.
MAX_NEW_TOKENS = 64
BATCH_SIZE = 128
BASE_STEPS, BASE_RATE = 700, 3e-3
ADAPTER_STEPS, ADAPTER_RATE = 400, 4e-3

ALL_LINEAR = [
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
    "down_proj",
]


def adapter_configs():
    """The three adapters: each exercises another part of PEFT's format."""
    return {
        "german": peft.LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32,
            target_modules=ALL_LINEAR),
        "french": peft.LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=8, use_rslora=True,
            target_modules="all-linear",
            rank_pattern={"k_proj": 8, "v_proj": 8, "mlp.down_proj": 24},
            alpha_pattern={"self_attn.o_proj": 16,
                           r".*\.3\.mlp\.gate_proj": 12}),
        "roman": peft.LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, bias="lora_only",
            target_modules=["q_proj", "v_proj", "o_proj", "up_proj",
                            "down_proj"]),
    }


def make_vocabulary():
    vocabulary = {"<pad>": PAD, "<bos>": BOS, "<eos>": EOS}
    for character in CHARACTERS:
        vocabulary[character] = len(vocabulary)
    return vocabulary


VOCABULARY = make_vocabulary()
TOKENS = {token: text for text, token in VOCABULARY.items()}


def encode_prompt(text):
    return [BOS] + [VOCABULARY[character] for character in text + "="]


def encode_answer(text):
    return [VOCABULARY[character] for character in text] + [EOS]


def decode(tokens):
    """The text in front of the first token that is no character."""
    text = ""
    for token in tokens:
        if token <= EOS:
            break
        text += TOKENS[token]
    return text


def heldout_numbers():
    """Drawn below 4000, so that all four languages share them."""
    numbers = range(HELDOUT_FROM, numerals.ROMAN_RANGE.stop)
    return sorted(random.Random(SEED).sample(numbers, HELDOUT_COUNT))


def training_pairs(language):
    """(prompt, answer) for each number; short numbers several times.

    Nine numbers in ten have four digits; repeating the short ones keeps the
    model from forgetting them.
    """
    heldout = set(heldout_numbers())
    write = numerals.LANGUAGES[language]
    pairs = []
    for number in numerals.numbers_of(language):
        if number not in heldout:
            copies = 8 if number < 100 else 2 if number < 1000 else 1
            pairs += [(str(number), write(number))] * copies
    return pairs


def copying_pair(rng):
    """A random string of letters that is to be repeated.

    The base learns from these what every letter is, also those that English
    number words lack; an adapter then only has to choose among them.
    """
    text = "".join(rng.choices(LETTERS, k=rng.randint(1, 14)))
    return text, text


def batches(pairs, copies_per_batch, steps, rng):
    """Yields `steps` batches, going through shuffled `pairs` repeatedly."""
    queue = []
    for _ in range(steps):
        batch = [copying_pair(rng) for _ in range(copies_per_batch)]
        while len(batch) < BATCH_SIZE:
            if not queue:
                queue = rng.sample(pairs, len(pairs))
            batch.append(queue.pop())
        yield batch


def to_tensors(batch):
    """Token ids and labels, padded on the right; only answers are labelled."""
    rows, labels = [], []
    for prompt, answer in batch:
        head, tail = encode_prompt(prompt), encode_answer(answer)
        rows.append(torch.tensor(head + tail))
        labels.append(torch.tensor([-100] * len(head) + tail))
    pad = torch.nn.utils.rnn.pad_sequence
    return (pad(rows, batch_first=True, padding_value=PAD),
            pad(labels, batch_first=True, padding_value=-100))


def learning_rate(step, steps, warmup=40):
    """Linear warm-up, then half a cosine down to zero; relative to the peak."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def fit(model, name, pairs, copies_per_batch, steps, rate):
    rng = random.Random(f"{SEED} {name}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, steps))
    start = time.time()
    model.train()
    for step, batch in enumerate(batches(pairs, copies_per_batch, steps, rng)):
        tokens, labels = to_tensors(batch)
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        if step % 50 == 49 or step + 1 == steps:
            print(f"{name}: step {step + 1} of {steps}, loss {loss:.5f}, "
                  f"{time.time() - start:.0f} s", flush=True)


def base_config():
    return transformers.LlamaConfig(
        vocab_size=len(VOCABULARY), hidden_size=160, intermediate_size=448,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, pad_token_id=PAD, bos_token_id=BOS,
        eos_token_id=EOS)


def train_base(folder, steps):
    torch.manual_seed(SEED)
    model = transformers.LlamaForCausalLM(base_config())
    fit(model, "base", training_pairs("english"), BATCH_SIZE // 5, steps,
        BASE_RATE)
    model.generation_config = transformers.GenerationConfig(
        pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
        do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
    # Half the size; the adapters then train on the rounded weights.
    model.to(torch.bfloat16).save_pretrained(folder / "base")


def train_adapter(folder, name, steps):
    torch.manual_seed(SEED)
    config = adapter_configs()[name]
    model = peft.get_peft_model(open_base(folder), config)
    model.print_trainable_parameters()
    fit(model, name, training_pairs(name), 0, steps, ADAPTER_RATE)
    adapter = folder / "adapters" / name
    model.save_pretrained(adapter, safe_serialization=name != "roman")
    tidy_adapter(adapter)


def tidy_adapter(adapter):
    """Drops what would differ from machine to machine and run to run."""
    (adapter / "README.md").unlink(missing_ok=True)
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "../../base"
    # PEFT writes a set here, whose order changes with each process.
    config["target_modules"].sort()
    write_json(path, config)


def write_json(path, value):
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_data(folder):
    write_json(folder / "vocab.json", VOCABULARY)
    rows = [{"number": number} | {
        language: write(number)
        for language, write in numerals.LANGUAGES.items()
    } for number in heldout_numbers()]
    write_json(folder / "heldout.json", rows)


def open_base(folder):
    return transformers.LlamaForCausalLM.from_pretrained(
        folder / "base", dtype=torch.float32)


def open_language(folder, language):
    model = open_base(folder)
    if language != "english":
        model = peft.PeftModel.from_pretrained(
            model, folder / "adapters" / language)
    return model.eval()


def answer(model, numbers):
    """Greedy answers; prompts in a batch have one length, so none is padded."""
    answers = {}
    for length in sorted({len(str(number)) for number in numbers}):
        same = [number for number in numbers if len(str(number)) == length]
        for first in range(0, len(same), 500):
            part = same[first:first + 500]
            tokens = torch.tensor([encode_prompt(str(n)) for n in part])
            output = model.generate(
                input_ids=tokens, attention_mask=torch.ones_like(tokens))
            for number, row in zip(part, output[:, tokens.shape[1]:].tolist()):
                answers[number] = decode(row)
    return answers


def evaluate(folder, language, numbers):
    """Prints and returns the share of exactly right answers."""
    write = numerals.LANGUAGES[language]
    answers = answer(open_language(folder, language), numbers)
    wrong = [n for n in numbers if answers[n] != write(n)]
    accuracy = 1 - len(wrong) / len(numbers)
    print(f"{language}: {accuracy:.2%} of {len(numbers)} numbers right",
          flush=True)
    for number in wrong[:10]:
        print(f"  {number}: {answers[number]!r}, not {write(number)!r}")
    return accuracy


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--folder", type=pathlib.Path, default=pathlib.Path(__file__).parent,
        help="where base/ and adapters/ are written and read")
    parser.add_argument(
        "--only", choices=["base", *adapter_configs()], action="append",
        help="train only this (may be given several times)")
    parser.add_argument(
        "--evaluate", action="store_true", help="train nothing")
    parser.add_argument(
        "--all", action="store_true",
        help="measure on every number, not only on the held-out ones")
    parser.add_argument(
        "--threads", type=int, default=2,
        help="CPU threads; another number gives slightly other weights")
    parser.add_argument("--base-steps", type=int, default=BASE_STEPS)
    parser.add_argument("--adapter-steps", type=int, default=ADAPTER_STEPS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    folder = arguments.folder
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.disable_progress_bar()
    start = time.time()
    chosen = arguments.only or ["base", *adapter_configs()]
    if not arguments.evaluate:
        folder.mkdir(parents=True, exist_ok=True)
        write_data(folder)
    worst = 1.0
    for name in chosen:
        if not arguments.evaluate and name == "base":
            train_base(folder, arguments.base_steps)
        elif not arguments.evaluate:
            train_adapter(folder, name, arguments.adapter_steps)
        language = "english" if name == "base" else name
        numbers = (numerals.numbers_of(language) if arguments.all
                   else heldout_numbers())
        worst = min(worst, evaluate(folder, language, list(numbers)))
    print(f"{time.time() - start:.0f} s in all")
    return 0 if worst >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
