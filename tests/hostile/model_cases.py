"""Folders of models and GGUF files that are broken or meant to do harm."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file, save_file

from faithlens.execution.execute import execute
from faithlens.model import templates
from faithlens.model.load import load
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from tests.conftest import byte_tokenizer
from tests.hostile.case import Case
from tests.model.gguf_files import random_model, write

INDEX = "model.safetensors.index.json"


@cache
def find_whole_model() -> Path:
    folder = Path(mkdtemp()) / "model"
    random_model("llama").save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@cache
def get_gguf() -> bytes:
    return write(Path(mkdtemp()) / "a.gguf", random_model("llama"), "llama").read_bytes()


# --- folders of models ---


def use_model(change: Callable[[Path], object]) -> Case:
    """A folder of a model with a change is loaded, and asked for one answer."""

    def use(folder: Path) -> object:
        shutil.copytree(find_whole_model(), folder / "model")
        change(folder / "model")
        model = load(str(folder / "model"))
        condition = Condition("clean", (Piece("prompt", (5, 9)), Piece("stem", (7,))), ((65,), (66,)))
        return execute(model, plan_passes(model, [condition]))

    return use


def set_config(**entries: object) -> Case:
    return use_model(lambda folder: edit_json(folder / "config.json", entries))


def edit_json(file: Path, entries: dict[str, Any]) -> None:
    file.write_text(json.dumps((json.loads(file.read_text()) if file.exists() else {}) | entries))


def change_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Case:
    def do(folder: Path) -> None:
        weights = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return use_model(do)


def name_shard(shard: str) -> Case:
    def do(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
        (folder / "x.bin").write_bytes(pickle.dumps({}))
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}))
        (folder / "model.safetensors").rename(folder / "unused.safetensors")

    return use_model(do)


def replace_by_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def link_outside(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
    (folder / "model.safetensors").symlink_to(folder.parent / "outside.safetensors")


def truncate_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1000)


def use_template(template: str) -> Case:
    def use(folder: Path) -> object:
        shutil.copytree(find_whole_model(), folder / "model")
        model = load(str(folder / "model"))
        model.tokenizer.chat_template = template
        with patch.object(templates, "_SECONDS", 1.0):
            return model.render("What is 2 + 3?")

    return use


MODELS: dict[str, Case] = {
    "only a pickle (`pytorch_model.bin`)": use_model(replace_by_pickle),
    "the index of the weights names a pickle": name_shard("x.bin"),
    "the index names a file outside the folder": name_shard("../outside.safetensors"),
    "the weights are a link out of the folder": use_model(link_outside),
    "the weights are cut": use_model(truncate_weights),
    "the configuration names Python code": set_config(auto_map={"AutoModel": "evil.Model"}),
    "10,000,000 layers": set_config(num_hidden_layers=10**7),
    "a vocabulary of 2^62": set_config(vocab_size=2**62),
    "no attention heads": set_config(num_attention_heads=0),
    "a configuration nested 10,000 deep": use_model(lambda f: (f / "config.json").write_text('{"a":' * 10_000)),
    "one weight is NaN": change_weights(lambda w: w["model.norm.weight"][0].fill_(float("nan"))),
    "a weight is missing": change_weights(lambda w: w.pop("model.norm.weight")),
    "a weight has another shape": change_weights(lambda w: w.update({"model.norm.weight": torch.ones(3)})),
    "a chat template of nested loops": use_template(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "a chat template without the question": use_template("Hello.{% if add_generation_prompt %}A:{% endif %}"),
    "a chat template that reaches for Python": use_template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "a chat template whose error holds escapes": use_template("{{ raise_exception('\x1b[2J\x07') }}"),
}


# --- GGUF files ---


def use_gguf(change: Callable[[bytearray], object]) -> Case:
    def use(folder: Path) -> object:
        content = bytearray(get_gguf())
        change(content)
        (folder / "a.gguf").write_bytes(content)
        with patch.dict(os.environ, {"FAITHLENS_CACHE": str(folder / "cache")}):
            return load(str(folder / "a.gguf"))

    return use


def set_number(key: str, number: int) -> Callable[[bytearray], None]:
    def do(content: bytearray) -> None:
        name = f"llama.{key}".encode()
        at = content.find(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
        content[at : at + 4] = struct.pack("<I", number)

    return do


def cut(content: bytearray, keep: int) -> None:
    del content[keep:]


GGUFS: dict[str, Case] = {
    "2,147,483,647 layers": use_gguf(set_number("block_count", 2**31 - 1)),
    "no attention heads": use_gguf(set_number("attention.head_count", 0)),
    "more attention heads than pairs of rows": use_gguf(set_number("attention.head_count", 64)),
    "three key-value heads for four": use_gguf(set_number("attention.head_count_kv", 3)),
    "another magic number": use_gguf(lambda content: content.__setitem__(0, 0)),
    "cut in its header": use_gguf(lambda content: cut(content, 500)),
    "cut in its weights": use_gguf(lambda content: cut(content, len(content) - 5000)),
    "a pickle called .gguf": use_gguf(lambda content: content.__setitem__(slice(None), pickle.dumps({}))),
}
