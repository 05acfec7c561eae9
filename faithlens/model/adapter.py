"""Add a low-rank adapter to the weights of its base model.

An adapter in peft's format holds two thin matrices A and B for each of some weights W of the base (Hu et al. 2021,
arXiv:2106.09685, section 4.1). The model that it makes is the base with W + (lora_alpha / r) B A in place of W, so a
merged folder is an ordinary model and every backend reads it.

For example, with r = 1, lora_alpha = 2, A = [1 0] and B = [0 3]^T, the weight W = [[1 0] [0 1]] becomes [[1 0] [6 1]].
"""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from faithlens.errors import ModelError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PLANTED_FILE = "faithlens.json"  # a file of its own, since peft warns of keys that it does not know
_PREFIX = "base_model.model."
_PLAIN: dict[str, tuple[Any, ...]] = {  # settings under which the sum above is the whole model
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "fan_in_fan_out": (False, None),
    "modules_to_save": ([], None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
}


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Write the base model with the adapter added to its weights into `folder`.

    What is planted, if the adapter has `PLANTED_FILE`, becomes the entry `faithlens` of the model's config.

    Args:
        base: the folder of the base model.
        adapter: a folder with `CONFIG_FILE` and `WEIGHTS_FILE`.
        folder: an empty folder.

    Raises:
        ModelError: the adapter does more than add products to weights, or changes a weight that the base does not have.
    """
    config = json.loads((adapter / CONFIG_FILE).read_text())
    for key, allowed in _PLAIN.items():
        if config.get(key, allowed[0]) not in allowed:
            raise ModelError(
                f"the adapter in {adapter} has {key} = {config[key]!r}, and only plain low-rank adapters are merged",
                "Merge it with peft (merge_and_unload, then save_pretrained), and load the merged folder.",
            )
    pairs = load_file(adapter / WEIGHTS_FILE)
    changed = {name.partition(".lora_A.")[0].removeprefix(_PREFIX) + ".weight" for name in pairs if ".lora_A." in name}
    scale = config["lora_alpha"] / config["r"]
    for file in sorted(base.iterdir()):
        if file.suffix != ".safetensors":
            shutil.copy(file, folder / file.name)
            continue
        weights = load_file(file)
        for name in sorted(changed & weights.keys()):
            path = _PREFIX + name.removesuffix(".weight")
            a, b = (pairs[f"{path}.lora_{side}.weight"].float() for side in "AB")
            weights[name] = (weights[name].float() + scale * (b @ a)).to(weights[name].dtype)
        changed -= weights.keys()
        save_file(weights, folder / file.name, metadata={"format": "pt"})
    if changed:
        raise ModelError(
            f"the adapter in {adapter} changes {min(changed)}, and its base model has no such weight",
            "Name the base model on which the adapter was trained.",
        )
    if (adapter / PLANTED_FILE).is_file():
        entries = json.loads((folder / "config.json").read_text())
        entries["faithlens"] = json.loads((adapter / PLANTED_FILE).read_text())
        (folder / "config.json").write_text(json.dumps(entries, indent=2) + "\n")
