"""Which files of a model's folder may be read: safetensors, JSON and text that lie inside the folder, nothing else.

1. The folder must hold config.json and at least one .safetensors file.
2. Every shard that an index names, and every file that config.json or tokenizer_config.json points to, must be a file
   inside the folder; weights must be .safetensors, because a pickle can run code when it is opened.
3. A link must end inside the folder. The snapshots of the Hugging Face cache consist of links to the blobs beside them;
   these are allowed.
4. An adapter is refused: it sends the loader to another model.

For example, a folder whose model.safetensors.index.json says ``{"weight_map": {"lm_head.weight": "../x.bin"}}`` breaks
rule 2 twice and is refused before anything is opened.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faithlens.errors import ModelError, describe_foreign

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_READABLE = {".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken"}  # suffixes of what loading may open
_INDEX = ".safetensors.index.json"
_ADAPTER = "adapter_config.json"
_LONGEST_JSON = 64 << 20  # bytes of a config or an index
_GET_AGAIN = "Get the file again."
_SAVE_AGAIN = "Save the model again with save_pretrained, which writes safetensors."


def check_files(name: str, folder: Path, *, trust_remote_code: bool = False) -> dict[str, Any]:
    """Refuse a model folder if loading it would read a pickle, a file elsewhere, or code that was not allowed.

    Returns the entries of its config.json.

    Raises:
        ModelError: the folder is no model, or breaks one of the rules above.
    """
    _check_complete(name, folder)
    if (folder / _ADAPTER).exists():
        raise ModelError(
            f"the model {name} is an adapter ({_ADAPTER} is in its folder), which loads the weights of another model",
            "Merge it into that model (peft: merge_and_unload, then save_pretrained) and name the merged folder.",
        )
    for file in sorted(folder.iterdir()):
        if file.suffix in _READABLE:
            _check_inside(name, folder, file.name, f"{file.name} is a link to {file.resolve()}")
    for file in sorted(folder.glob(f"*{_INDEX}")):
        for shard in _list_shards(name, file):
            _check_shard(name, folder, file, shard)
    for config in ("config.json", "tokenizer_config.json"):
        if not (folder / config).is_file():
            continue
        entries = _read_json(name, folder / config)
        if "auto_map" in entries and not trust_remote_code:
            raise ModelError(
                f"{config} of the model {name} names Python code to run (auto_map)",
                "Read that code; if you trust it, pass trust_remote_code=True (--trust-remote-code).",
            )
        for key, path in _find_named_files(entries):
            _check_named(name, folder, f"{config} ({key})", path)
    return _read_json(name, folder / "config.json")


def _check_complete(name: str, folder: Path) -> None:
    files = {file.name: file.suffix for file in folder.iterdir()}
    if "config.json" in files and ".safetensors" in files.values():
        return
    pickled = sorted(file for file, suffix in files.items() if suffix in _PICKLES)
    ggufs = sorted(file for file, suffix in files.items() if suffix == ".gguf")
    fix = "Name a folder with config.json and *.safetensors, as save_pretrained writes it."
    if pickled:
        fix = (
            "Only safetensors and GGUF are read, since pickles can run code: save it again with a recent transformers."
        )
    elif ggufs:
        fix = f"Name the file itself: load('{folder / ggufs[0]}')"
    missing = "config.json" if "config.json" not in files else "*.safetensors"
    present = ", ".join(sorted(files)[:8]) or "nothing"
    raise ModelError(f"the folder of the model {name} has no {missing}; {folder} holds {present}", fix)


def _read_json(name: str, file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LONGEST_JSON:
        raise ModelError(f"{file.name} of the model {name} has more than {_LONGEST_JSON >> 20} MiB", _GET_AGAIN)
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{file.name} of the model {name} is not JSON: {describe_foreign(error)}", _GET_AGAIN
        ) from error
    if not isinstance(entries, dict):
        raise ModelError(f"{file.name} of the model {name} is not a JSON object", _GET_AGAIN)
    return entries


def _list_shards(name: str, index: Path) -> list[str]:
    shards = _read_json(name, index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(file, str) for file in shards.values()):
        raise ModelError(f"{index.name} of the model {name} has no weight_map of file names", _GET_AGAIN)
    return sorted(set(shards.values()))


def _check_shard(name: str, folder: Path, index: Path, shard: str) -> None:
    if not shard.endswith(".safetensors"):
        raise ModelError(
            f"{index.name} of the model {name} names {shard!r}, which is not a .safetensors file; other formats can run"
            " code",
            _SAVE_AGAIN,
        )
    _check_inside(name, folder, shard, f"{index.name} names {shard!r}")
    if not (folder / shard).is_file():
        raise ModelError(
            f"{index.name} of the model {name} names {shard!r}, which is not in {folder}", "Get all its files."
        )


def _find_named_files(entries: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The entries of a configuration that loading may use as the path of a file."""
    for key, value in entries.items():
        if key.endswith(("_file", "_files")) or key == "transformers_weights":
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str):
                    yield key, path


def _check_named(name: str, folder: Path, where: str, path: str) -> None:
    """Check a path in a configuration. A path of the machine that wrote it, which does not exist here, is not read."""
    if Path(path).suffix in _PICKLES and ((folder / path).exists() or Path(path).exists()):
        raise ModelError(f"{where} of the model {name} names {path!r}, a format that can run code", _SAVE_AGAIN)
    if (folder / path).exists():
        _check_inside(name, folder, path, f"{where} names {path!r}")
    elif Path(path).exists():
        raise _make_outside_error(name, folder, f"{where} names {path!r}")


def _check_inside(name: str, folder: Path, path: str, message: str) -> None:
    whole, place = folder.resolve(), (folder / path).resolve()
    inside = [whole]
    if whole.parent.name == "snapshots":  # of the Hugging Face cache: models--org--name/snapshots/COMMIT
        inside.append(whole.parent.parent / "blobs")
    if not any(place.is_relative_to(root) for root in inside):
        raise _make_outside_error(name, folder, message)


def _make_outside_error(name: str, folder: Path, message: str) -> ModelError:
    return ModelError(
        f"in the folder of the model {name}, {message}, which lies outside {folder}",
        "Copy the file into the folder, or name the folder that it lies in.",
    )
