"""Writes the golden models of //peft_cc/models with other heads than a language
model's, or without any.

Run it as make_testdata.py, which lies beside it. Every folder `heads/<case>` is a
model as transformers saves it, with `expected.safetensors`: inputs and what it
answers; `adapter` below it is a LoRA adapter as PEFT saves it, and `adapted_...`
are the answers with it.
"""

import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

from make_testdata import edit_config, randomize

HERE = pathlib.Path(__file__).resolve().parent

HEAD_SIZE = dict(vocab_size=64, bos_token_id=None, eos_token_id=None,
                 pad_token_id=0)
GPT2 = dict(**HEAD_SIZE, n_embd=16, n_layer=2, n_head=4, n_positions=32,
            n_inner=24)
LLAMA = dict(**HEAD_SIZE, hidden_size=16, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=24, max_position_embeddings=32)
BERT = dict(**HEAD_SIZE, hidden_size=16, num_hidden_layers=2,
            num_attention_heads=4, intermediate_size=24,
            max_position_embeddings=32)
# Which rows have how much padding, and where.
LEFT = ((0, 0), (3, 0), (5, 0))
RIGHT = ((0, 0), (0, 3), (0, 5))


def rename(folder, name_of):
    """Saves every tensor under the name that `name_of` gives for its own."""
    path = folder / "model.safetensors"
    tensors = {name_of(n): t for n, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def head_inputs(padding, types, length=9):
    generator = torch.Generator().manual_seed(31)
    shape = (len(padding), length)
    ids = torch.randint(3, 64, shape, generator=generator)
    mask = torch.ones_like(ids)
    for row, (left, right) in enumerate(padding):
        ids[row, :left] = mask[row, :left] = 0
        ids[row, length - right:] = mask[row, length - right:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if types:
        inputs["token_type_ids"] = torch.randint(
            0, types, shape, generator=generator)
    return inputs


def head_answers(model, inputs, prefix=""):
    """Logits, and what is below them, of a model or a PeftModel."""
    inner = model.base_model.model if isinstance(
        model, peft.PeftModel) else model
    with torch.no_grad():
        answers = dict(inner(**inputs))
        below = dict(inner.base_model(**inputs))
    if "start_logits" in answers:
        answers["logits"] = torch.stack(
            [answers["start_logits"], answers["end_logits"]], dim=-1)
    answers.update(below)
    return {prefix + name: answers[name].float().contiguous()
            for name in ("logits", "last_hidden_state", "pooler_output")
            if answers.get(name) is not None}


def head_adapter(folder, model, seed, **fields):
    adapted = peft.get_peft_model(model, peft.LoraConfig(**fields)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            noise = 0.3 * torch.randn(parameter.shape, generator=generator)
            if "lora_" in name:
                parameter.copy_(noise)
            elif fields.get("bias") == "all" and name.endswith("bias"):
                parameter.add_(noise)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()

    def make_portable(config):
        config["base_model_name_or_path"] = ""
        if isinstance(config["target_modules"], list):
            config["target_modules"].sort()

    edit_config(folder, make_portable, "adapter_config.json")
    return adapted


def make_head(name, model_class, config, seed, padding=LEFT, types=0,
              name_of=None, edit=None, adapter=None, **class_kwargs):
    folder = HERE / "heads" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = model_class(config, **class_kwargs).eval()
    randomize(model, seed)
    model.save_pretrained(folder)
    if name_of:
        rename(folder, name_of)
    if edit:
        edit_config(folder, edit)
    inputs = head_inputs(padding, types)
    expected = {**inputs, **head_answers(model, inputs)}
    if adapter:
        adapted = head_adapter(folder / "adapter", model, seed + 100, r=3,
                               lora_alpha=5, **adapter)
        expected.update(head_answers(adapted, inputs, "adapted_"))
    save_file(expected, folder / "expected.safetensors")


def to_legacy_names(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta")


def without_class(config):
    config.pop("architectures")


def make_heads():
    gpt2 = transformers.GPT2Config
    bert = transformers.BertConfig
    llama = transformers.LlamaConfig
    qwen3 = transformers.Qwen3Config
    make_head("gpt2_lm", transformers.GPT2LMHeadModel, gpt2(**GPT2), 1,
              types=64, adapter=dict(target_modules="all-linear",
                                     fan_in_fan_out=True))
    make_head("gpt2_bare", transformers.GPT2Model,
              gpt2(**GPT2, activation_function="gelu"), 2,
              adapter=dict(target_modules=["c_attn", "wte", "wpe"]))
    make_head("gpt2_sequence", transformers.GPT2ForSequenceClassification,
              gpt2(**GPT2, num_labels=3, scale_attn_weights=False), 3,
              padding=((0, 2), (3, 1), (5, 0)),
              adapter=dict(target_modules="all-linear", bias="all"))
    make_head("gpt2_token", transformers.GPT2ForTokenClassification,
              gpt2(**GPT2, num_labels=5), 4)
    make_head("gpt2_answers", transformers.GPT2ForQuestionAnswering,
              gpt2(**GPT2), 5)
    make_head("bert_masked_lm", transformers.BertForMaskedLM, bert(**BERT), 6,
              padding=RIGHT, types=2, name_of=to_legacy_names,
              adapter=dict(target_modules=["query", "value", "dense",
                                           "word_embeddings"]))
    make_head("bert_bare", transformers.BertModel,
              bert(**BERT, hidden_act="gelu_new", layer_norm_eps=1e-5), 7,
              padding=RIGHT, types=2,
              adapter=dict(target_modules="all-linear",
                           task_type="FEATURE_EXTRACTION"))
    make_head("bert_bare_without_pooler", transformers.BertModel,
              bert(**BERT, hidden_act="silu"), 8, add_pooling_layer=False)
    make_head("bert_sequence", transformers.BertForSequenceClassification,
              bert(**BERT, type_vocab_size=3, hidden_act="relu"), 9,
              padding=RIGHT, types=3, edit=without_class,
              adapter=dict(target_modules="all-linear"))
    make_head("bert_token", transformers.BertForTokenClassification,
              bert(**BERT, num_labels=4), 10, padding=RIGHT, edit=without_class)
    make_head("bert_answers", transformers.BertForQuestionAnswering,
              bert(**BERT), 11, padding=RIGHT)
    make_head("llama_sequence", transformers.LlamaForSequenceClassification,
              llama(**LLAMA, num_labels=3), 12, padding=((0, 2), (3, 1), (5, 0)),
              adapter=dict(target_modules="all-linear"))
    make_head("qwen3_token", transformers.Qwen3ForTokenClassification,
              qwen3(**LLAMA, head_dim=4), 13)
    make_head("llama_bare", transformers.LlamaModel, llama(**LLAMA), 14)


if __name__ == "__main__":
    torch.manual_seed(0)
    make_heads()
