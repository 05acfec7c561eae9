"""The names of models, devices and number formats. No torch is imported here, so that names are checked at once."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from faithlens.errors import ModelError, check_choice, suggest_names, suggest_path

DEVICES = ("auto", "cpu", "cuda", "cuda:0", "split")
DTYPES = ("auto", "float32", "bfloat16", "float16")

SMOLLM = "smollm2-135m"
_ORGANISMS = Path(__file__).parents[1] / "organisms" / "weights"
_SEEDED_NAME = re.compile(r"([ELOP]\d+)(-[A-Z]+)?@(\d+)")
_TRAINED_NAME = re.compile(r"[LP]\d+")  # without a seed: the seed 0, where none is shipped
_HUB_ID = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


def list_short_names() -> list[str]:
    """The names of models that need no path: SmolLM2 and the organisms in the package."""
    return [SMOLLM, *sorted(list_organisms())]


def list_organisms() -> dict[str, Path]:
    """The folder of each shipped organism by its name in capitals."""
    return {folder.name.upper(): folder for folder in _ORGANISMS.glob("*") if folder.is_dir()}


def shorten_name(name: str) -> str:
    """The name of an organism in capitals, without its optional start: ``organism:o5`` becomes ``O5``."""
    return name.removeprefix("organism:").upper()


def parse_trained_name(name: str) -> tuple[str, int] | None:
    """The organism and the seed in the name of one that is trained on demand; None for another name.

    For example ``O4@3`` is O4 with seed 3, ``O5-whole@1`` the variant O5-whole with seed 1, and ``P1`` is P1 with seed
    0, because no P is shipped.
    """
    short = shorten_name(name)
    match = _SEEDED_NAME.fullmatch(short + "@0" if _TRAINED_NAME.fullmatch(short) else short)
    return (match[1] + (match[2] or "").lower(), int(match[3])) if match else None


def parse_hub_id(name: str) -> tuple[str, str | None] | None:
    """The repository and the revision in ``org/name`` or ``org/name@revision``; None for another name."""
    match = _HUB_ID.fullmatch(name)
    return (match[1], match[2]) if match and Path(name).suffix.lower() != ".gguf" else None


def check_model_name(name: str) -> None:
    """Check that `name` is a short name, a folder, a .gguf file or a hub id. Nothing is loaded or downloaded.

    Raises:
        ModelError: it is none of them; with the nearest name.
    """
    if not isinstance(cast(object, name), str):
        problem = f"the name of a model must be a text, got {type(name).__name__}"
        raise ModelError(problem, "Pass a name or a path; a model in memory is passed as fl.wrap(model, tokenizer).")
    path = Path(name).expanduser()
    is_short = shorten_name(name) in list_organisms() or parse_trained_name(name) or name.lower() == SMOLLM
    is_path = bool(name) and (path.is_dir() or (path.suffix.lower() == ".gguf" and path.is_file()))
    if not (is_short or is_path or parse_hub_id(name)):
        raise ModelError(
            f"no model {name!r}: it is no short name, folder, .gguf file or hub id",
            f"{suggest_path(name)}Give a short name, an existing path, or a hub id with its owner, such as"
            f" openai-community/gpt2. {suggest_names(name, list_short_names())}",
        )


def check_device(device: str) -> None:
    """Check the spelling of a device, such as "cpu" or "cuda:1". Raises ConfigError with the nearest name."""
    if not re.fullmatch(r"cuda(:\d+)?", str(device)):
        check_choice(device, DEVICES, "device")


def check_model_options(name: str, device: str, dtype: str) -> None:
    """Check what `load` takes, before torch is imported. Raises what `check_model_name` and `check_device` raise."""
    check_model_name(name)
    check_device(device)
    check_choice(dtype, DTYPES, "dtype")


def correct_word(text: str, words: Sequence[str]) -> str | None:
    """The word that `text` misspells, where a word or a model can be named; None for a word, and for any model."""
    is_model = "/" in text or text in list_short_names() or Path(text).exists()
    near = [] if text in words or is_model else get_close_matches(text, words, n=1)
    return near[0] if near else None
