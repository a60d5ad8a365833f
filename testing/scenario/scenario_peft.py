"""What Python PEFT computes in the states that the scenario passes through."""

import pathlib
import tempfile

import peft
import safetensors.torch
import torch

from testing.scenario import scenario_files as files

PREFIX = "base_model.model."


class Peft:
    """PeftModels of adapters in folders, on the base in `folder`."""

    def __init__(self, folder):
        self.base = folder / "base"
        self.made = tempfile.TemporaryDirectory()
        torch.set_grad_enabled(False)

    def model(self, entries):
        """A model with (folder, scale) active, all of one method."""
        base = files.open_base(self.base)
        if not entries:
            return base
        names = [f"a{i}" for i in range(len(entries))]
        model = peft.PeftModel.from_pretrained(base, entries[0][0], names[0])
        for name, (folder, _) in zip(names[1:], entries[1:]):
            model.load_adapter(folder, name)
        model.base_model.set_adapter(names)
        for module in model.modules():
            for name, (_, scale) in zip(names, entries):
                if scale != 1 and name in getattr(module, "lora_A", {}):
                    module.scaling[name] *= scale
        return model.eval()

    def mixed(self, entries):
        """The same for several methods: transformers' mixin."""
        model = files.open_base(self.base)
        names = [f"a{i}" for i in range(len(entries))]
        for name, (folder, scale) in zip(names, entries):
            assert scale == 1
            model.load_adapter(str(folder), adapter_name=name)
        model.set_adapter(names)
        return model.eval()

    def make_fresh(self, config_json, seed):
        """The folder of a new adapter, drawn after torch.manual_seed."""
        base = files.open_base(self.base)
        config = peft.get_peft_config(dict(config_json))
        torch.manual_seed(seed)
        return self._save(peft.get_peft_model(base, config), "default")

    def make_weighted(self, entries, weights, **options):
        """The folder of what add_weighted_adapter makes."""
        model = self.model([(folder, 1) for folder in entries])
        model.add_weighted_adapter([f"a{i}" for i in range(len(entries))],
                                   weights, "weighted", **options)
        return self._save(model, "weighted")

    def _save(self, model, name):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.made.name))
        model.save_pretrained(folder, selected_adapters=[name])
        return folder if name == "default" else folder / name


def logits(model, ids, mask=None, keep=1, **options):
    """(batch, keep, vocab), of the last positions."""
    if mask is not None:
        options["attention_mask"] = torch.tensor(mask)
    output = model(input_ids=torch.tensor(ids), **options)
    return output.logits[:, -keep:]


def generate(model, ids, mask, count):
    """Greedy tokens; fails where two are nearly as good."""
    output = model.generate(
        input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask),
        do_sample=False, max_new_tokens=count, min_new_tokens=count,
        eos_token_id=None, pad_token_id=0, return_dict_in_generate=True,
        output_logits=True)
    for step in output.logits:
        best = step.topk(2).values
        if float((best[:, 0] - best[:, 1]).min()) < 1e-3:
            raise ValueError("a tie: choose another prompt")
    return output.sequences[:, len(ids[0]):].tolist()


def read_tensors(folder):
    """An adapter's tensors under the names of get_adapter_state_dict."""
    safe = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(safe) if safe.exists() else \
        torch.load(folder / "adapter_model.bin", weights_only=True)
    return {k.removeprefix(PREFIX): v for k, v in sorted(tensors.items())}


def sites(base, folder):
    """The number of layers that an adapter is in, as PEFT injects it."""
    model = peft.PeftModel.from_pretrained(base, folder, "a0")
    count = 0
    for module in model.modules():
        adapters = set(getattr(module, "lora_A", {}))
        adapters |= set(getattr(module, "lora_embedding_A", {}))
        adapters |= set(getattr(module, "ia3_l", {}))
        adapters |= set(getattr(module, "modules_to_save", {}) or {})
        count += "a0" in adapters
    return count


def fnv1a(tensor):
    """The 64-bit FNV-1a hash of the elements' bytes, as 16 hex digits."""
    value = 0xcbf29ce484222325
    data = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"
