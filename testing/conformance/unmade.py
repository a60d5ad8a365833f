"""Drafts of adapters that PEFT refuses to make, by what it says.

A draft that is refused for a reason of this list is drawn again. Any other
error ends the case: either the draft was made the wrong way, and what it would
have shown is never seen, or the list is to have another line."""

import re

# A pattern of the error, and why such drafts are drawn.
REASONS = {
    r"Target modules .* not found": "the fields that choose layers and modules "
    "are drawn one by one, and may leave none",
    r"No modules were targeted": "as above, where some were excluded",
    r"Unknown initialization init_lora_weights='(orthogonal|pissa\w*)'":
        "embeddings and convolutions have fewer inits than linear layers",
    r"MiCA requires `r` <= min": "tiny layers",
    r"combination: \('mica',\)": "of an embedding or a convolution",
    r"Targeting a Conv\dd with groups=2 and rank": "ranks are odd, too",
    r"ParamWrapper does not work with fan_in_fan_out": "a Conv1D's parameter",
    r"(modules_to_save|trainable_token_indices) cannot be applied": "of a "
    "module that has a LoRA, too",
    r"'Embedding' object has no attribute 'lora_embedding_A'": "of a head that "
    "is tied to an embedding that is saved whole",
    r"'MultiheadAttention' object has no attribute 'weight'": "of an init that "
    "reads its base's weights",
    r"size mismatch for .*_start\.weight": "of a conversion, where r is larger "
    "than the layer: PEFT saves fewer ranks than its config says, and cannot "
    "read them",
    r"IndexError: index \d+ is out of range": "of a conversion, for which PEFT "
    "replicates again what layer_replication made",
}


def reason(error):
    """Why a draft that ended in `error` may be drawn again, or None."""
    while error.__context__ is not None:
        error = error.__context__  # what PEFT's clean-up failed after
    text = f"{type(error).__name__}: {error}"
    return next((why for pattern, why in REASONS.items()
                 if re.search(pattern, text, re.DOTALL)), None)
