"""Base models' folders as older releases and other tools wrote them."""

import collections
import copy
import json

import safetensors.torch
import torch

from testing.conformance import random_models

OUTER = {"gpt2": "transformer.", "bert": "bert."}
# What configs of older releases lacked: keys that may go where they have these
# values, and those that never change a number.
OMITTED = {"attention_bias": False, "mlp_bias": False, "rope_scaling": None,
           "sliding_window": 4096, "n_inner": None}
OF_TRAINING = ("initializer_range", "use_cache", "bos_token_id", "torch_dtype",
               "attention_dropout", "transformers_version")


def _safetensors(tensors, path):
    safetensors.torch.save_file(tensors, path / "model.safetensors",
                                metadata={"format": "pt"})


def _pickled(tensors, path):
    torch.save(collections.OrderedDict(tensors), path / "pytorch_model.bin")


def _pickled_long_ago(tensors, path):
    torch.save(tensors, path / "pytorch_model.bin",
               _use_new_zipfile_serialization=False)


def _pickled_shards(tensors, path):
    names = sorted(tensors)
    shards = {f"pytorch_model-0000{i + 1}-of-00002.bin": names[i::2]
              for i in range(2)}
    for shard, of_shard in shards.items():
        torch.save({name: tensors[name] for name in of_shard}, path / shard)
    index = {"metadata": {}, "weight_map": {
        name: shard for shard, of_shard in shards.items()
        for name in of_shard}}
    (path / "pytorch_model.bin.index.json").write_text(json.dumps(index))


CONTAINERS = [_safetensors, _safetensors, _safetensors, _pickled,
              _pickled_long_ago, _pickled_shards]


class Folder:
    """A model's folder, and what of it is changed."""

    def __init__(self, rng, path, family, is_bare):
        self.rng, self.path, self.family = rng, path, family
        self.is_bare = is_bare
        self.outer = OUTER.get(family, "model.")
        self.config = json.loads((path / "config.json").read_text())
        self.tensors = {}
        for file in path.glob("*.safetensors"):
            self.tensors.update(safetensors.torch.load_file(file))

    def write(self):
        """Returns how the weights are stored."""
        for file in self.path.glob("model*"):
            file.unlink()
        (self.path / "config.json").write_text(json.dumps(self.config))
        container = self.rng.choice(CONTAINERS)
        container({name: tensor.contiguous().clone()
                   for name, tensor in self.tensors.items()}, self.path)
        return container.__name__

    # -- the changes

    def config_of_transformers_4(self):
        rope = self.config.pop("rope_parameters", None)
        if rope is not None:
            self.config["rope_theta"] = rope.pop("rope_theta")
            if rope.get("rope_type") == "default":
                rope = None
            elif self.rng.random() < 0.5:
                rope["type"] = rope.pop("rope_type")
            self.config["rope_scaling"] = rope
        self.config["torch_dtype"] = self.config.pop("dtype", "float32")
        for key in (*OMITTED, *OF_TRAINING):
            if key in self.config and self.rng.random() < 0.5 and (
                    key in OF_TRAINING or self.config[key] == OMITTED[key]):
                del self.config[key]

    def keys_of_tools(self):
        self.config.update({
            "_name_or_path": "someone/model", "quantization_config": None,
            "torchscript": False, "pruned_heads": {}, "output_past": True,
            "task_specific_params": None, "gradient_checkpointing": False})

    def no_architecture(self):
        if not self.is_bare and self.family not in ("gpt2", "bert"):
            self.config["architectures"] = None

    def names_of_the_other_class(self):
        """Of a bare model as in one with a head, or the other way round."""
        if self.is_bare:
            self.tensors = {self.outer + name: tensor
                            for name, tensor in self.tensors.items()}
            return
        self.tensors = {name.removeprefix(self.outer): tensor
                        for name, tensor in self.tensors.items()}

    def names_of_tensorflow(self):
        for old, new in (("LayerNorm.weight", "LayerNorm.gamma"),
                         ("LayerNorm.bias", "LayerNorm.beta")):
            self.tensors = {name.replace(old, new): tensor
                            for name, tensor in self.tensors.items()}

    def buffers(self):
        prefix = "" if self.is_bare else self.outer
        if self.family == "bert":
            self.tensors[f"{prefix}embeddings.position_ids"] = \
                torch.arange(64)[None]
            return
        layers = "h" if self.family == "gpt2" else "layers"
        count = self.config.get("num_hidden_layers") or self.config["n_layer"]
        for i in range(count):
            layer = f"{prefix}{layers}.{i}."
            if self.family == "gpt2":
                self.tensors[layer + "attn.bias"] = torch.ones(
                    1, 1, 8, 8, dtype=torch.uint8)
                self.tensors[layer + "attn.masked_bias"] = torch.tensor(-1e4)
            else:
                self.tensors[layer + "self_attn.rotary_emb.inv_freq"] = \
                    torch.ones(4)

    def mixed_dtypes(self):
        """The weights are numbers of each of these types."""
        self.tensors = {name: tensor.to(self.rng.choice(
            [torch.float32, torch.bfloat16, torch.float16]))
            if tensor.is_floating_point() else tensor
            for name, tensor in self.tensors.items()}

    def a_tied_head_is_there_too(self):
        embedding = next((tensor for name, tensor in self.tensors.items()
                          if name.endswith(("embed_tokens.weight",
                                            "wte.weight"))), None)
        if (self.config.get("architectures") or [""])[0].endswith(
                ("ForCausalLM", "LMHeadModel")) and embedding is not None:
            self.tensors.setdefault("lm_head.weight", embedding)

    def a_tensor_of_no_use(self):
        self.tensors["extra.weight"] = torch.ones(3)


CHANGES = [Folder.config_of_transformers_4, Folder.keys_of_tools,
           Folder.no_architecture, Folder.names_of_the_other_class,
           Folder.names_of_tensorflow, Folder.buffers, Folder.mixed_dtypes,
           Folder.a_tied_head_is_there_too, Folder.a_tensor_of_no_use]


def make(rng, path):
    """A random model's folder. Returns it, no adapter's, what transformers
    opens there, its layout, and a text about it."""
    family = rng.choice(random_models.FAMILIES)
    model, layout = random_models.make_model(rng, family,
                                             rng.getrandbits(31))
    random_models.save_model(
        copy.deepcopy(model), path, rng.choice([torch.float32, torch.bfloat16]))
    folder = Folder(rng, path, family, layout.output != "logits")
    changes = rng.sample(CHANGES, rng.randint(1, 5))
    for change in changes:
        change(folder)
    container = folder.write()
    theirs = type(model).from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager").eval()
    what = f"{type(model).__name__}, {container}, " + ", ".join(
        change.__name__ for change in changes)
    return path, None, theirs, layout, what
