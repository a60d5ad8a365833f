"""Tiny random base models of the families that the SDK runs."""

import copy
import dataclasses
import math

import torch
import transformers
from peft.tuners import tuners_utils

from testing.conformance import random_decoders

VOCABULARY = random_decoders.VOCABULARY
LABELS = 3  # of the classification heads
FAMILIES = [*random_decoders.FAMILIES, "gpt2", "bert"]


@dataclasses.dataclass
class Layout:
    """What adapters can target in a model, by the last parts of its names."""
    linears: list
    embeddings: list  # the input embedding first
    norms: list
    head: str         # "" for a model without one
    layers: str       # the list of layers: its name, "" without one
    task_type: str    # PEFT's
    output: str       # which output is compared
    # Of methods that do not take all of `linears`: those that they take.
    only: dict = dataclasses.field(default_factory=dict)
    num_layers: int = 0
    tied: bool = False
    # The model without its head inside of it, as in "model.layers.0"; "" where
    # there is no head.
    prefix: str = ""
    # The ranges of the base's layers that the model has, if not all once.
    ranges: list = dataclasses.field(default_factory=list)

    def for_method(self, method):
        """As it is for a method."""
        if method not in self.only:
            return self
        return dataclasses.replace(self, linears=self.only[method])


_DECODER = Layout(
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
     "down_proj"], ["embed_tokens"], ["input_layernorm", "norm"], "lm_head",
    "layers", "CAUSAL_LM", "logits", prefix="model.")
_GPT2 = Layout(
    ["c_attn", "attn.c_proj", "mlp.c_proj", "c_fc"], ["wte", "wpe"],
    ["ln_1", "ln_f"], "lm_head", "h", "CAUSAL_LM", "logits",
    prefix="transformer.")
_BERT = Layout(
    ["query", "key", "value", "attention.output.dense", "intermediate.dense",
     "layer.0.output.dense"],
    ["word_embeddings", "position_embeddings", "token_type_embeddings"],
    ["attention.output.LayerNorm"], "", "layer", None, "logits",
    prefix="bert.")
_BARE = {"task_type": "FEATURE_EXTRACTION", "head": "", "prefix": "",
         "output": "last_hidden_state"}


def _gpt2_config(rng):
    heads = rng.choice([2, 4])
    return transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=rng.choice([64, 128]),
        n_embd=heads * rng.choice([4, 8]), n_head=heads,
        n_layer=rng.choice([1, 2, 3]), n_inner=rng.choice([None, 40, 65]),
        activation_function=rng.choice(["gelu_new", "gelu_new", "gelu",
                                        "relu"]),
        scale_attn_weights=rng.random() < 0.8,
        scale_attn_by_inverse_layer_idx=rng.random() < 0.2,
        tie_word_embeddings=rng.random() < 0.6, num_labels=LABELS,
        bos_token_id=1, eos_token_id=2, pad_token_id=0)


def _bert_config(rng):
    heads = rng.choice([2, 4])
    return transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=heads * rng.choice([4, 8]),
        num_hidden_layers=rng.choice([1, 2, 3]), num_attention_heads=heads,
        intermediate_size=rng.choice([24, 40, 65]),
        max_position_embeddings=64, type_vocab_size=2,
        hidden_act=rng.choice(["gelu", "gelu", "relu", "gelu_new"]),
        tie_word_embeddings=rng.random() < 0.6, num_labels=LABELS,
        pad_token_id=0)


_HEADS = {
    "gpt2": [(transformers.GPT2LMHeadModel, {}),
             (transformers.GPT2LMHeadModel, {}),
             (transformers.GPT2ForSequenceClassification,
              {"task_type": "SEQ_CLS", "head": "score"}),
             (transformers.GPT2ForTokenClassification,
              {"task_type": "TOKEN_CLS", "head": "classifier"}),
             (transformers.GPT2Model, _BARE)],
    "bert": [(transformers.BertForMaskedLM, {"head": "decoder"}),
             (transformers.BertForSequenceClassification,
              {"task_type": "SEQ_CLS", "head": "classifier"}),
             (transformers.BertForTokenClassification,
              {"task_type": "TOKEN_CLS", "head": "classifier"}),
             (transformers.BertModel, _BARE),
             (transformers.BertModel,
              {**_BARE, "output": "pooler_output"})],
}


def randomize(model, generator):
    """Weights of a size that keeps every layer's effect visible."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                centre = 0.0 if name.endswith("bias") else 1.0
                parameter.copy_(centre + 0.2 * noise)
            elif "embed" in name or name.split(".")[-2] in ("wte", "wpe"):
                parameter.copy_(noise)
            else:
                parameter.copy_(1.5 * noise / math.sqrt(parameter.shape[1]))


def _new_model(rng, family):
    """A model with transformers' own initial weights, and its layout."""
    if family in random_decoders.FAMILIES:
        config = random_decoders.random_config(rng, family)
        config._attn_implementation = "eager"
        if rng.random() < 0.12:
            return transformers.AutoModel.from_config(config), \
                dataclasses.replace(_DECODER, **_BARE)
        model = transformers.AutoModelForCausalLM.from_config(config)
        return model, _DECODER
    config = _gpt2_config(rng) if family == "gpt2" else _bert_config(rng)
    config._attn_implementation = "eager"
    model_class, changes = rng.choice(_HEADS[family])
    layout = dataclasses.replace(_GPT2 if family == "gpt2" else _BERT,
                                 **changes)
    return model_class(config), layout


def make_model(rng, family, seed):
    """A random f32 model in eval mode whose weights are numbers of both bf16
    and f16, so that saving it in any of the three dtypes loses nothing; and
    its layout."""
    model, layout = _new_model(rng, family)
    randomize(model, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().half().float())
    return model.eval(), dataclasses.replace(
        layout, num_layers=model.config.num_hidden_layers,
        tied=model.config.tie_word_embeddings and layout.head != "" and
        layout.task_type not in ("SEQ_CLS", "TOKEN_CLS"))


def replicate(rng, base, layout):
    """The base with random ranges of its layers one after another, as PEFT
    makes it of layer_replication; as it is where PEFT does not know how."""
    ranges = []
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(layout.num_layers)
        ranges.append([start, rng.randint(start + 1, layout.num_layers)])
    model = copy.deepcopy(base)
    try:
        tuners_utils.replicate_layers(model, ranges)
    except ValueError:
        return base, layout
    expand_layer_types(model, ranges)
    # In a tuple, or torch would take it for a part of the model.
    model.unreplicated = (base,)
    return model, dataclasses.replace(
        layout, ranges=ranges, num_layers=model.config.num_hidden_layers)


def expand_layer_types(model, ranges):
    """What PEFT forgets: Qwen's forward looks its layers' kinds up there."""
    types = getattr(model.config, "layer_types", None)
    if types is not None:
        model.config.layer_types = [types[i] for start, end in ranges
                                    for i in range(start, end)]


def unreplicated(model, config):
    """The model for a PeftModel with `config`, which replicates by itself."""
    if getattr(config, "layer_replication", None):
        return model.unreplicated[0]
    return model


def save_model(model, folder, dtype, max_shard_size=None):
    """Saves in `dtype`, in several shards when a size is given. The model is
    converted for good."""
    kwargs = {} if max_shard_size is None else {
        "max_shard_size": max_shard_size}
    model.to(dtype).save_pretrained(folder, **kwargs)
