"""The order of docs/parity.md's rows and columns."""

from testing import peft_verbs as ours
from testing.conformance import record

METHODS = ["LoRA", "rsLoRA", "lora_bias", "bias all", "bias lora_only", "DoRA",
           "aLoRA", "init orthogonal", "init mica", "init olora", "init pissa",
           "init pissa_niter", "converted init", "AdaLoRA", "AdaLoRA pruned",
           "IA3", "modules_to_save", "trainable_token_indices",
           "ensure_weight_tying", "target_parameters", "layer_replication", "other head"]
KINDS = ["Linear", "Conv1D", "head", "Embedding", "norm", "Conv1d", "Conv2d",
         "Conv3d", "MultiheadAttention", "parameter"]
VERBS = ["load", "load from memory", "odd files", "add_adapter", "set",
         "set several", "scale", "set_scale", "disable, enable", "state dict",
         "delete",
         "save, PEFT loads", "rename", "replace", "merge, unmerge",
         "merge_and_unload", "unload", "rows", "rows, generate", "generate",
         "probe", "estimate", "pin, limit"]
COMBINATIONS = [f"weighted {kind}" for kind in ours.COMBINATIONS]


def render(recorder, summary):
    return record.render(recorder, METHODS, KINDS,
                         [VERBS, COMBINATIONS, ["open"]], summary)
