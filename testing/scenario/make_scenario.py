"""Writes the scenario: a tiny base, adapters, and steps with what Python PEFT
computes at each. See README.md.

  ./bazelw run //testing/scenario:make_scenario -- $PWD/testing/scenario
"""

import argparse
import json
import pathlib
import warnings

import torch

from testing.scenario import host_steps
from testing.scenario import recorder
from testing.scenario import scenario_files as files
from testing.scenario import scenario_peft as reference

IDS, numbers = recorder.IDS, recorder.numbers
MASK = [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
INVALID, NOT_FOUND, EXISTS, LIMIT, STATE, UNIMPLEMENTED, CANCELLED = \
    3, 5, 6, 8, 9, 12, 1


def base(s):
    """The base alone."""
    model = reference.files.open_base(s.folder / "base")
    s.step("open_model", {
        "model_type": "llama", "architecture": "LlamaForCausalLM",
        "vocab_size": files.VOCAB, "hidden_size": 16, "num_layers": 2,
        "max_position_embeddings": 64,
        "num_parameters": model.num_parameters()}, path="base")
    s.names()
    s.logits(save_as="base")
    s.logits(mask=MASK, keep=2)
    short = torch.tensor([IDS[0][:3]])
    hidden = model(short, output_hidden_states=True).hidden_states[-1]
    s.step("forward", ids=short.tolist(), outputs=["last_hidden_state"])
    s.step("get_output", numbers(hidden), output="last_hidden_state")
    s.refuse("get_output", "OUTPUT_NOT_COMPUTED", STATE, output="logits")
    s.refuse("forward", "TOKEN_OUT_OF_RANGE", INVALID, ids=[[1, 32]])
    s.step("create_session", max_length=4)
    s.refuse("forward", "SEQUENCE_TOO_LONG", LIMIT, ids=IDS)
    s.step("create_session")
    s.refuse("open_model", "FILE_NOT_FOUND", NOT_FOUND, path="no_such_folder")


def loading(s):
    """Each adapter, and those that are refused."""
    for name in ("plain", "ranks", "dora", "rescale", "adalora", "bf16",
                 "pickled"):
        s.load(name)
        s.logits()
        s.state_dict(name)
    s.load("head", "load_adapter_from_memory")
    s.logits()
    s.names()
    refused = dict(incomplete="TENSOR_MISSING", damaged="SAFETENSORS",
                   wrong_shape="TENSOR_SHAPE_MISMATCH")
    for name, error in refused.items():
        s.refuse("load_adapter", error, INVALID, name="x",
                 path=f"adapters/{name}")
    s.refuse("load_adapter", "ADAPTER_METHOD_UNSUPPORTED", UNIMPLEMENTED,
             name="x", path="adapters/loha")
    s.refuse("load_adapter", "FILE_NOT_FOUND", NOT_FOUND, name="x",
             path="adapters/none")
    s.refuse("load_adapter", "ADAPTER_EXISTS", EXISTS, name="plain",
             path="adapters/plain")
    s.names()
    s.load("incomplete", missing=1, lenient=1)
    s.logits()
    s.delete("incomplete")


def switching(s):
    """Which adapters act, and how much."""
    s.set("plain")
    s.logits(save_as="plain")
    s.step("disable_adapters")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="base")
    s.names()
    s.step("enable_adapters")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="plain")
    s.set("plain", "ranks", "bf16", scales=[1, -0.5, 2])
    s.names()
    s.logits(mask=MASK, keep=2)
    s.set("plain", "rescale")
    s.logits(s.peft.mixed(s.entries()))
    s.set()
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="base")
    s.refuse("set_adapter", "ADAPTER_NOT_FOUND", NOT_FOUND, names=["none"])
    s.refuse("set_adapter", "ARGUMENT", INVALID, names=["plain", "plain"])
    s.set("plain")
    s.step("set_scale", name="plain", scale=0.5)
    s.logits(s.peft.model([(s.loaded["plain"], 0.5)]))
    s.step("set_scale", name="plain", scale=1)


def rows(s):
    """Adapters of single rows."""
    model = s.peft.model([(s.loaded[n], 1) for n in ("plain", "ranks")])
    s.logits(model, options={"adapter_names": ["a1", "__base__"]},
             adapter_names=["ranks", "__base__"])
    s.step("create_activation", activation="both", names=["plain", "bf16"],
           scales=[0.5, 2])
    both = s.peft.model([(s.loaded["plain"], 0.5), (s.loaded["bf16"], 2)])
    s.logits(both, activations=["both"])
    s.logits(s.peft.model([]), activations=[""])
    each = torch.cat([reference.logits(both, IDS[:1]),
                      reference.logits(s.peft.model([]), IDS[1:])])
    s.step("forward", numbers(each, "logits"), ids=IDS, logits_to_keep=1,
           activations=["both", ""])
    s.step("free_activation", activation="both")
    s.refuse("forward", "ADAPTER_NOT_FOUND", NOT_FOUND, ids=IDS,
             adapter_names=["plain", "none"])


def generating(s):
    """Greedy tokens, streamed and stopped."""
    s.set("ranks")
    prompt = [[1, 7, 5, 3], [0, 1, 9, 4]]
    mask = [[1, 1, 1, 1], [0, 1, 1, 1]]
    arguments = dict(ids=prompt, attention_mask=mask, max_new_tokens=6,
                     ignore_eos=1)
    tokens = reference.generate(s.model(), prompt, mask, 6)
    s.step("generate", {"tokens": tokens, "finish": ["length", "length"]},
           **arguments)
    s.step("generate", {"tokens": tokens, "finish": ["length", "length"]},
           **arguments, stream=1)
    base_tokens = reference.generate(s.peft.model([]), prompt, mask, 6)
    s.step("generate", {"tokens": [base_tokens[0], tokens[1]]}, **arguments,
           adapter_names=["__base__", "ranks"])
    end = tokens[0][2]
    first = tokens[0][:tokens[0].index(end) + 1]
    s.step("generate", {"tokens": [first], "finish": ["eos"]},
           ids=prompt[:1], max_new_tokens=6, eos_token_ids=[end])
    stop = tokens[0][1:4]
    s.step("generate", {"tokens": [tokens[0][:4]], "finish": ["stop"]},
           ids=prompt[:1], max_new_tokens=6, ignore_eos=1,
           stop_sequences=[[31, 0], stop])
    s.refuse("generate", "CANCELLED", CANCELLED, **arguments, cancel_after=3)


def cache(s):
    """A cache that goes on, and one that must not."""
    s.set("plain")
    s.step("forward", ids=[IDS[0][:4]], logits_to_keep=1)
    s.step("cache_length", {"length": 4})
    values = reference.logits(s.model(), IDS[:1])
    s.step("forward", numbers(values, "logits"), ids=[IDS[0][4:]],
           logits_to_keep=1, keep_cache=1)
    s.step("cache_length", {"length": 6})
    s.set("ranks")
    s.refuse("forward", "ACTIVATION_CHANGED", STATE, ids=[[5]], keep_cache=1)
    s.step("reset_session")
    s.step("cache_length", {"length": 0})


def merging(s):
    """Merged weights, and the base's own back again."""
    s.set("plain", "ranks")
    s.logits(save_as="two")
    s.step("merge_adapter", names=[])
    s.step("merged_adapters", {"names": ["plain", "ranks"]})
    model = s.model()
    model.merge_adapter()
    s.logits(model)
    s.refuse("delete_adapter", "MERGED", STATE, names=["plain"])
    s.step("unmerge_adapter")
    s.step("merged_adapters", {"names": []})
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="two")
    s.step("merge_adapter", names=["dora"], safe_merge=1)
    s.step("disable_adapters")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="base")
    s.step("enable_adapters")
    s.step("unmerge_adapter")


def making(s):
    """New adapters: fresh, combined, renamed, replaced."""
    config = json.loads((s.folder / "fresh_lora.json").read_text())
    s.step("add_adapter", name="fresh", config="fresh_lora.json", seed=5)
    s.loaded["fresh"] = s.peft.make_fresh(config, 5)
    s.active = [("fresh", 1)]
    s.names()
    s.state_dict("fresh")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="base")
    for kind, options in (("linear", {}), ("cat", {}),
                          ("svd", {"svd_rank": 3}),
                          ("ties", {"density": 0.5})):
        sources = ["plain", "swap"] if kind != "cat" else ["plain", "ranks"]
        if kind == "linear":
            s.load("swap")
        s.step("add_weighted_adapter", new_name=kind, names=sources,
               weights=[0.75, 0.5], combination_type=kind, **options)
        s.loaded[kind] = s.peft.make_weighted(
            [s.loaded[n] for n in sources], [0.75, 0.5],
            combination_type=kind, **options)
        s.set(kind)
        s.logits()
    s.refuse("add_weighted_adapter", "ADAPTER_NOT_COMBINABLE", INVALID,
             new_name="x", names=["plain", "ranks"], weights=[1, 1],
             combination_type="linear")
    s.delete("linear", "cat", "svd", "ties", "fresh", "swap")
    s.set("plain")
    s.rename("plain", "renamed")
    s.names()
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="plain")
    s.replace("renamed", "swap")
    s.logits()
    s.replace("renamed", "bf16", "replace_adapter_from_memory")
    s.logits()
    s.refuse("replace_adapter", "ADAPTER_NOT_FOUND", NOT_FOUND, name="none",
             path="adapters/swap")
    s.refuse("rename_adapter", "ADAPTER_EXISTS", EXISTS, name="renamed",
             new_name="ranks")


def saving(s):
    """To a temporary folder and back."""
    s.set("dora")
    s.logits(save_as="dora")
    s.step("save_adapter", name="dora", path="$TMP/dora")
    s.refuse("save_adapter", "FILE_EXISTS", EXISTS, name="dora",
             path="$TMP/dora")
    s.step("save_adapter", name="dora", path="$TMP/dora", overwrite=1)
    s.delete("dora")
    s.step("load_adapter", s.report(s.folder / "adapters/dora"), name="again",
           path="$TMP/dora")
    s.loaded["again"] = s.folder / "adapters/dora"
    s.active = [("again", 1)]
    s.state_dict("again")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="dora")
    s.step("write_state_dict", name="again", path="$TMP/dora.safetensors")
    s.step("load_adapter_from_memory", name="third",
           config="adapters/dora/adapter_config.json",
           tensors="$TMP/dora.safetensors")
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="dora")
    s.step("delete_adapter", names=["third"])
    s.set("again")


def facts(s):
    """What is known of adapters."""
    for name, kind, rank in (("ranks", "LORA", 3), ("rescale", "IA3", 0)):
        report = s.report(s.loaded[name])
        s.step("get_adapter_info", {
            "peft_type": kind, "rank": rank, "scale": 1, "is_active": 0,
            "num_parameters": report["num_parameters"],
            "num_sites": report["num_sites"], "is_pinned": 0,
            "is_trainable": 0}, name=name)
    active = s.active
    s.load("swap", is_trainable=1)
    s.step("get_adapter_info", {"is_active": 1, "is_trainable": 1},
           name="swap")
    s.delete("swap")
    s.set(*[name for name, _ in active])
    s.step("get_adapter_config", {"peft_type": "LORA", "r": 2,
                                  "lora_alpha": 3, "use_rslora": True},
           name="ranks")
    s.step("get_adapter_source", {"path": "adapters/ranks"}, name="ranks")
    tensors = reference.read_tensors(s.folder / "adapters/ranks")
    sizes = {"num_tensors": len(tensors), "num_parameters": sum(
        t.numel() for t in tensors.values())}
    s.step("estimate_adapter", {**sizes, "file_bytes": (
        s.folder / "adapters/ranks/adapter_model.safetensors"
    ).stat().st_size}, path="adapters/ranks")
    s.step("inspect_adapter", {"peft_type": "LORA", "runnable": True,
                               "rank": 2, **sizes}, path="adapters/ranks")
    s.step("inspect_adapter", {
        "peft_type": "LOHA", "runnable": False,
        "reason_id": "ADAPTER_METHOD_UNSUPPORTED"}, path="adapters/loha")
    s.step("fetch_adapter", {"path": "adapters/ranks"}, path="adapters/ranks")
    s.step("probe_adapter", {"num_sites": report["num_sites"],
                             "num_unchanged": 0}, name="rescale")
    s.step("has_adapter", {"has": 1}, name="ranks")
    s.step("has_adapter", {"has": 0}, name="none")
    s.refuse("get_adapter_info", "ADAPTER_NOT_FOUND", NOT_FOUND, name="none")


def limits(s):
    """A limit on their number, which evicts what is neither active nor
    pinned; then none of them."""
    s.step("pin_adapter", name="rescale", pinned=1)
    s.refuse("set_adapter_limit", "ADAPTER_LIMIT", LIMIT, max_bytes=0,
             max_adapters=1)
    s.step("set_adapter_limit", max_bytes=0, max_adapters=2)
    s.loaded = {n: f for n, f in s.loaded.items() if n in ("rescale", "again")}
    s.names()
    s.step("set_adapter_limit", max_bytes=0, max_adapters=0)
    s.step("unload")
    s.loaded, s.active = {}, []
    s.names()
    s.step("forward", ids=IDS, logits_to_keep=1, equal_to="base")


def merged_model(s):
    """A merged model as a folder."""
    s.load("ranks")
    s.step("merge_and_unload", path="$TMP/merged", names=["ranks"])
    s.names()
    s.step("open_model", {"model_type": "llama"}, path="$TMP/merged")
    s.logits(s.model().merge_and_unload())
    s.loaded, s.active = {}, []
    s.names()


def host(s):
    """A model of a program's own layers."""
    s.step("create_model", {"model_type": "", "num_sites": 3},
           tensors="host/weights.safetensors", layers=host_steps.layers())
    s.refuse("create_session", "MODEL_NOT_RUNNABLE", STATE)
    run_layers(s, files.host_network())
    run_layers(s, host_steps.load(s, "adapter"))
    s.refuse("run_layer", "LAYER_NOT_FOUND", NOT_FOUND, layer="third",
             shape=[1], x=[1])


def run_layers(s, network):
    ids = torch.tensor([[3, 0], [9, 3]])
    s.step("run_layer", numbers(network.table(ids)), layer="table",
           shape=[2, 2], ids=ids.flatten().tolist())
    rng = files.np.random.default_rng([files.SEED, 2])
    for name, width in (("first", 6), ("second", 8)):
        x = files.draw(rng, (3, width), 2.0)
        s.step("run_layer", numbers(getattr(network, name)(x)), layer=name,
               shape=[3, width], x=x.flatten().tolist())


def text_of(value):
    """JSON without exponents; a step to a line."""
    if isinstance(value, float):
        text = f"{value:.8f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {text_of(v)}"
                               for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text_of(v) for v in value) + "]"
    return json.dumps(value)


def write(folder, name, parts):
    """One scenario."""
    scenario = recorder.Scenario(folder)
    for part in parts:
        part(scenario)
    lines = ",\n".join(text_of(step) for step in scenario.steps)
    (folder / name).write_text(
        '{"format": 1, "tolerance": 0.00001, "steps": [\n' + lines + "\n]}\n")


def make(folder):
    """Everything, in a folder that has none of it."""
    warnings.simplefilter("ignore")
    files.save_all(folder)
    write(folder, "scenario.json", [
        base, loading, switching, rows, generating, cache, merging, making,
        saving, facts, limits, merged_model, host])
    write(folder, "host_scenario.json", host_steps.PARTS)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    make(parser.parse_args().folder)


if __name__ == "__main__":
    main()
