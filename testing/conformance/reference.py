"""What Python PEFT computes for adapters that act together.

The layers are PEFT's own, injected one adapter after the other, as the mixin
does; each adapter's tensors are those that PeftModel.from_pretrained reads.
What PEFT gets wrong is put right here, and only here: the base's parameters
that an adapter changes (trained biases, inits that take something from the
weights) belong to the adapter, and are there only while it is active."""

import copy

import peft
import torch
from peft.tuners import tuners_utils
from peft.tuners.lora import layer as lora_layer
from peft.tuners.lora import variants as lora_variants
from peft.utils import other as peft_other
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing.conformance import adapters
from testing.conformance import compare


class NoReference(Exception):
    """PEFT cannot say what is right here."""


def _injected_config(adapter):
    config = copy.deepcopy(adapter.config)
    config.inference_mode = True
    if getattr(config, "layer_replication", None):
        config.layer_replication = None  # the base's layers are as it says
    if hasattr(config, "init_lora_weights"):
        config.init_lora_weights = True
    if getattr(config, "bias", "none") != "none":
        config.bias = "none"  # PEFT takes one adapter with biases
    if config.peft_type == peft.PeftType.ADALORA:
        config.rank_pattern = None
    return config


def _keep_lora_bias(layer, args, result):
    """A forward hook: where an adapter of a whole layer joins one of the
    layer's parameter, PEFT forgets the bias of its lora_B."""
    if layer.disable_adapters:
        return result
    for name in layer.active_adapters:
        bias = None if name not in layer.lora_B else layer.lora_B[name].bias
        if bias is not None:
            result = result + layer.scaling[name] * bias
    return result


def _keep_head_bias(layer, args, result):
    """A forward hook: PEFT's rows of a tied head drop the head's bias until
    they are merged."""
    bias = getattr(layer.base_layer, "bias", None)
    if bias is None or layer.disable_adapters or not layer.active_adapters:
        return result  # the base's own forward
    return result + bias


def _each_its_own_offsets(forward):
    """PEFT starts all active aLoRAs at the tokens of one: here `alora_offsets`
    has those of each."""

    def adapted(module, active_adapter, x, result, alora_offsets=None,
                **kwargs):
        own = (alora_offsets or {}).get(active_adapter)
        return forward(module, active_adapter=active_adapter, x=x,
                       result=result, alora_offsets=own, **kwargs)

    return staticmethod(adapted)


lora_variants.ALoraLinearVariant.forward = _each_its_own_offsets(
    lora_variants.ALoraLinearVariant.forward)


class Reference:
    """A copy of `base` with the layers of some adapters, innermost first.
    `trained_on` has the parameters that the adapters were trained on, where
    `base` has others."""

    def __init__(self, base, loaded, pick="logits", trained_on=None):
        self.model = copy.deepcopy(base)
        self.pick = pick
        self.loaded = list(loaded)
        self.scalings = {}
        self.alora = []
        for adapter in self.loaded:
            self._inject(adapter)
        self.model.eval()
        for module in self.model.modules():
            if hasattr(module, "trainable_tokens_delta"):
                module.register_forward_hook(_keep_head_bias)
            if isinstance(module, lora_layer.ParamWrapper):
                module.register_forward_hook(_keep_lora_bias)
        changed = {k for a in self.loaded for k in a.base_values}
        self.parameters = {}
        for name, value in self.model.named_parameters(remove_duplicate=False):
            if adapters.canonical(name) in changed:
                self.parameters[adapters.canonical(name)] = value
        self.starts = {k: v.detach().clone()
                       for k, v in self.parameters.items()}
        trained_on = dict((trained_on or base).named_parameters(
            remove_duplicate=False))
        self.originals = {k: trained_on[k].detach().clone() for k in changed}
        self.copies = {
            adapters.canonical(name): value for name, value in
            self.model.named_parameters(remove_duplicate=False)
            if ".modules_to_save." in name}

    def _inject(self, adapter):
        uid = adapter.uid
        peft.inject_adapter_in_model(_injected_config(adapter), self.model,
                                     uid)
        found = set()
        for name, module in list(
                self.model.named_modules(remove_duplicate=False)):
            for leaf in list(module._parameters):
                key = adapters.canonical(f"{name}.{leaf}")
                if key in adapter.tensors and module._parameters[leaf] \
                        is not None:
                    found.add(key)
                    module._parameters[leaf] = nn.Parameter(
                        adapter.tensors[key].clone(), requires_grad=False)
        if found != set(adapter.tensors):
            raise RuntimeError(f"not injected: {set(adapter.tensors) - found}")
        for name, module in adapters.wrappers(self.model):
            self._check_direction(adapter, adapters.canonical(name), module)
            if uid in getattr(module, "scaling", {}):
                self.scalings[module, uid] = adapter.scalings[
                    adapters.canonical(name)]

    @staticmethod
    def _check_direction(adapter, name, layer):
        """A layer of PEFT's IA3 has one direction for all its adapters."""
        if adapter.uid in getattr(layer, "ia3_l", {}) and \
                layer.is_feedforward != peft.IA3Model.\
                _check_target_module_feedforward(adapter.config, name):
            raise RuntimeError(f"{name}: IA3 in both directions")

    def activate(self, entries):
        """`entries`: (adapter, scale) in the order of activation."""
        scales = {adapter.uid: scale for adapter, scale in entries}
        names = list(scales)
        for _, module in adapters.wrappers(self.model):
            if isinstance(module, peft_other.AuxiliaryTrainingWrapper):
                own = [n for n in names if n in module._adapters and scales[n]]
                if len(own) > 1:
                    raise NoReference("one module saved by two adapters")
                module.enable_adapters(bool(own))
                module._active_adapter = own
                if hasattr(module, "token_adapter"):
                    module.token_adapter._active_adapter = own
                continue
            if isinstance(module, tuners_utils.BaseTunerLayer) and \
                    not hasattr(module, "trainable_tokens_delta"):
                self._activate_layer(module, names, scales)
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                self._set_base_value(key, parameter, entries)
        self.alora = [a for a, _ in entries if a.features["is_alora"]]

    def _activate_layer(self, module, names, scales):
        module.enable_adapters(True)
        if hasattr(module, "ia3_l"):
            names = [n for n in names if scales[n]]
        module._active_adapter = list(names)
        for name in names:
            if (module, name) in self.scalings:
                module.scaling[name] = \
                    self.scalings[module, name] * scales[name]

    def _set_base_value(self, key, parameter, entries):
        start = self.starts[key]
        changes = [(a.base_values[key], scale) for a, scale in entries
                   if key in a.base_values]
        if len(changes) == 1 and changes[0][1] == 1 and torch.equal(
                start, self.originals[key]):
            parameter.copy_(changes[0][0])
        else:
            parameter.copy_(start.double() + self._change(key, entries))
        self._add_to_copies(key, entries)

    def _change(self, key, entries):
        """What adapters change of a parameter of the base, together."""
        original = self.originals[key].double()
        total = torch.zeros_like(original)
        for adapter, scale in entries:
            if key in adapter.base_values:
                value = adapter.base_values[key].double()
                total = total + scale * (value - original)
        return total

    def _add_to_copies(self, key, entries):
        """PEFT gives a trained bias to the base's module alone, not to the
        copy of it that stands for the module in another adapter."""
        module, _, leaf = key.rpartition(".")
        for adapter, _ in entries:
            copied = f"{module}.modules_to_save.{adapter.uid}.{leaf}"
            if copied in self.copies:
                others = [e for e in entries if e[0] is not adapter]
                self.copies[copied].copy_(adapter.tensors[copied].double()
                                          + self._change(key, others))

    def _alora_hooks(self, ids):
        """PEFT's PeftModel.forward tells aLoRA's layers where to begin."""
        if not self.alora:
            return []
        offsets = {a.uid: lora_variants.calculate_alora_offsets(
            {a.uid: a.config}, a.uid, torch.from_numpy(ids))
            for a in self.alora}

        def hook(target, args, kwargs):
            kwargs["alora_offsets"] = offsets
            return args, kwargs

        return [module.register_forward_pre_hook(hook, with_kwargs=True)
                for module in self.model.modules()
                if any(a.uid in getattr(module, "lora_variant", {})
                       for a in self.alora)]

    def output(self, ids, mask):
        hooks = self._alora_hooks(ids)
        try:
            return compare.reference_output(self.model, ids, mask, self.pick)
        finally:
            for hook in hooks:
                hook.remove()

    def exact(self, ids, mask, nudge=None):
        """In f64, each row alone. `nudge` is that of compare.exact_output."""
        rows = []
        for row in range(ids.shape[0]):
            part = slice(row, row + 1)
            keep = mask[row].astype(bool)
            hooks = self._alora_hooks(ids[part, keep])
            try:
                rows.append(compare.exact_output(
                    self.model, ids[part], mask[part], self.pick, nudge)[0])
            finally:
                for hook in hooks:
                    hook.remove()
        return compare.np.stack(rows)

    def generate(self, ids, mask, count):
        """Greedy tokens of each row."""
        hooks = self._alora_hooks(ids)
        try:
            with torch.no_grad():
                sequences = self.model.generate(
                    input_ids=torch.from_numpy(ids),
                    attention_mask=torch.from_numpy(mask), do_sample=False,
                    max_new_tokens=count, min_new_tokens=count,
                    eos_token_id=None, pad_token_id=0)
        finally:
            for hook in hooks:
                hook.remove()
        return [row[ids.shape[1]:].tolist() for row in sequences]

    def rounded_output(self, entries, count, base, dtype, ids, mask):
        """With the first `count` of the entries merged into weights of `dtype`
        and the others on top; all were trained on `base`."""
        self.activate(entries[:count])
        below, on_top = self.merged(dtype), entries[count:]
        if not on_top:
            return compare.reference_output(below, ids, mask, self.pick)
        if any(a.features["is_dora"] for a, _ in on_top):
            raise NoReference("PEFT's norm is of what is merged")
        order = [a for a in self.loaded if any(a is e for e, _ in on_top)]
        above = Reference(below, order, self.pick, trained_on=base)
        above.activate(on_top)
        return above.output(ids, mask)

    def merged(self, dtype):
        """A plain model whose weights are what the stacks of layers compute,
        rounded to `dtype`; its numbers are f32."""
        if any(hasattr(m, "token_adapter") for m in self.model.modules()):
            raise NoReference("a head tied to an embedding with trained rows")
        model = copy.deepcopy(self.model)
        _unwrap_saved(model)
        for name, module in list(model.named_modules()):
            if not isinstance(module, tuners_utils.BaseTunerLayer) or \
                    any(p in name.split(".")
                        for p in ("base_layer", "token_adapter")):
                continue
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, _folded(module, dtype))
        return model


def _unwrap_saved(model):
    """Puts the modules that act now in place of PEFT's choice of modules."""
    for name, module in list(model.named_modules()):
        if not isinstance(module, peft_other.ModulesToSaveWrapper):
            continue
        acting = module.original_module
        if module.active_adapters and not module.disable_adapters:
            acting = module.modules_to_save[module.active_adapters[0]]
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, acting)


def _folded(layer, dtype):
    """A plain layer that does what `layer` does."""
    base = layer.get_base_layer()
    while hasattr(base, "get_base_layer"):
        base = base.get_base_layer()
    with torch.no_grad():
        if isinstance(base, nn.Embedding):
            weight = layer(torch.arange(base.num_embeddings))
            return nn.Embedding.from_pretrained(weight.to(dtype).float())
        inputs = base.nx if isinstance(base, Conv1D) else base.in_features
        bias = layer(torch.zeros(1, inputs))[0]
        weight = (layer(torch.eye(inputs)) - bias).T
        plain = nn.Linear(inputs, weight.shape[0])
        plain.weight = nn.Parameter(weight.to(dtype).float().contiguous())
        plain.bias = nn.Parameter(bias.to(dtype).float())
        return plain.eval()
