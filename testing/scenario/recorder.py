"""Steps, each with what Python PEFT computes."""

from testing.scenario import scenario_files as files
from testing.scenario import scenario_peft as reference

IDS = [[1, 7, 5, 3, 10, 13], [1, 30, 22, 9, 4, 18]]


class Scenario:
    """Steps, and the state of adapters that they lead to."""

    def __init__(self, folder):
        self.folder = folder
        self.peft = reference.Peft(folder)
        self.steps = []
        self.loaded = {}  # name -> folder with its files, in load order
        self.active = []  # (name, scale)

    def step(self, verb, expect=None, **arguments):
        self.steps.append({"verb": verb, **arguments, "expect": expect or {}})

    def refuse(self, verb, error, code, **arguments):
        self.step(verb, {"error": error, "code": code}, **arguments)

    # -- verbs that change which adapters there are

    def report(self, folder, missing=0, model=None):
        tensors = reference.read_tensors(folder)
        sites = reference.sites(
            model or files.open_base(self.folder / "base"), folder)
        return {
            "matched": len(tensors), "missing": missing, "unexpected": 0,
            "mismatched": 0, "ignored_keys": 0,
            "num_sites": sites - missing,  # those that it changes
            "num_parameters": sum(t.numel() for t in tensors.values())}

    def load(self, name, verb="load_adapter", missing=0, **arguments):
        folder = self.folder / "adapters" / name
        self.step(verb, self.report(folder, missing), name=name,
                  **where(name, verb), **arguments)
        self.loaded[name] = folder
        self.active = [(name, 1)]

    def replace(self, name, by, verb="replace_adapter"):
        self.step(verb, self.report(self.folder / "adapters" / by), name=name,
                  **where(by, verb))
        self.loaded[name] = self.folder / "adapters" / by

    def set(self, *names, scales=None):
        arguments = {} if scales is None else {"scales": scales}
        self.step("set_adapter", names=list(names), **arguments)
        self.active = list(zip(names, scales or [1] * len(names)))

    def delete(self, *names):
        self.step("delete_adapter", names=list(names))
        for name in names:
            del self.loaded[name]
        self.active = [(n, s) for n, s in self.active if n not in names]

    def rename(self, name, new_name):
        self.step("rename_adapter", name=name, new_name=new_name)
        self.loaded = {new_name if n == name else n: folder
                       for n, folder in self.loaded.items()}
        self.active = [(new_name if n == name else n, s)
                       for n, s in self.active]

    # -- verbs that only look

    def names(self):
        self.step("list_adapters", {"names": list(self.loaded)})
        self.step("active_adapters", {"names": [n for n, _ in self.active]})

    def entries(self):
        return [(self.loaded[name], scale) for name, scale in self.active]

    def model(self):
        return self.peft.model(self.entries())

    def logits(self, model=None, ids=IDS, mask=None, keep=1, options=None,
               **arguments):
        """A forward; `options` are those of PEFT's forward."""
        model = model or self.model()
        if mask is not None:
            arguments["attention_mask"] = mask
        values = reference.logits(model, ids, mask, keep, **(options or {}))
        self.step("forward", numbers(values, "logits"), ids=ids,
                  logits_to_keep=keep, **arguments)

    def state_dict(self, name):
        self.step("get_adapter_state_dict", {"tensors": [
            {"name": key, "dtype": str(value.dtype).removeprefix("torch."),
             "shape": list(value.shape), "fnv1a": reference.fnv1a(value)}
            for key, value in reference.read_tensors(
                self.loaded[name]).items()]}, name=name)


def where(name, verb):
    """The arguments that say where an adapter is."""
    if not verb.endswith("from_memory"):
        return {"path": f"adapters/{name}"}
    return {"config": f"adapters/{name}/adapter_config.json",
            "tensors": f"adapters/{name}/adapter_model.safetensors"}


def numbers(tensor, key="values"):
    return {"shape": list(tensor.shape), key: tensor.flatten().tolist()}
