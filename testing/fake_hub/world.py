"""A set of repositories with one of everything, for tests and by hand."""

from testing.fake_hub import content

READER = "hf_reader"  # may see what is private, has accepted conditions
STRANGER = "hf_stranger"  # a valid token without either

_MIB = 1 << 20


def _adapter(seed):
    """The files of an adapter, and names that need quoting."""
    return {
        ".gitattributes": content.text(f"{seed} attributes", 100),
        "README.md": content.text(f"{seed} readme", 5000),
        "adapter_config.json": content.text(f"{seed} config", 700),
        "adapter_model.safetensors": content.lfs(f"{seed} weights", 100_000),
        "empty.txt": content.File(b""),
        "sub/adapter_config.json": content.text(f"{seed} sub", 600),
        "sub/deep/weights.bin": content.lfs(f"{seed} deep", 30_000),
        "sub/twin.bin": content.lfs(f"{seed} deep", 30_000),
        "with blank/ü & 100%+#?.txt": content.text(f"{seed} odd", 50),
    }


def populate(hub, big=24 * _MIB):
    """Adds all repositories to `hub`; returns {name: repository}.

    `big`: bytes of the large file of org/big.
    """
    hub.tokens |= {READER, STRANGER}
    made = {}

    def add(repo_id, files, repo_type="model", **access):
        repository = hub.add(content.Repository(repo_id, repo_type, **access))
        repository.commit(files)
        made[repo_id] = repository
        return repository

    adapter = add("org/adapter", _adapter("first"))
    adapter.tags["v1.0"] = adapter.branches["main"]
    adapter.commit(dict(_adapter("first"), **{
        "adapter_model.safetensors": content.lfs("second weights", 120_000)}))
    adapter.commit(_adapter("proposed"), pull=1)
    adapter.commit(_adapter("branch"), branch="feature/x")
    add("org/big", {"model.bin": content.lfs("big", big),
                    "config.json": content.text("big config", 300)})
    add("org/many", {f"part-{i:03}/file.json": content.text(f"many {i}", 40 + i)
                     for i in range(40)})
    add("gpt-tiny", {"config.json": content.text("gpt", 200)})
    add("org/xet", {"config.json": content.text("xet", 200),
                    "model.safetensors": content.lfs("xet", 90_000, xet=True)})
    add("org/private", _adapter("private"), readers={READER})
    add("org/gated", _adapter("gated"), accepted={READER})
    add("org/disabled", _adapter("disabled"), disabled=True)
    add("org/data", {"data.json": content.text("data", 400),
                     "data.parquet": content.lfs("data", 70_000)}, "dataset")
    add("org/old-name", _adapter("renamed"))
    hub.rename("org/old-name", "org/new-name")
    return made
