"""A digest of a model: does a name stand for the same weights as before?

1. Of a folder, all files that loading may read enter the digest: weights, configuration, tokenizer, chat template, and
   Python code. Of a GGUF file, the file itself does.
2. If these files have at most `WHOLE_BYTES` together, every byte is read, which takes less than two seconds.
3. If they have more, each large file enters with its length, its start (which holds the header of a safetensors file:
   the name, shape and place of every tensor), its end, and blocks at equal distances between them, `SAMPLED_BLOCKS`
   blocks in all.

What a sampled digest cannot see is a change of a few weights between the blocks, such as one flipped bit. Training,
another revision, another precision, a merge or a quantization change weights everywhere, and are seen.

For example, a folder of 14 GB in four files is identified by about 270 MB of them.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch

from faithlens.errors import ModelError
from faithlens.model.files import check_files
from faithlens.model.load import resolve_name
from faithlens.model.model import Model

WHOLE_BYTES = 2 << 30
"""The most bytes that the files of a model may have together so that every byte is read."""

SAMPLED_BLOCKS, BLOCK_BYTES = 64, 1 << 20
SAMPLED_VALUES = 4096  # of each tensor of a model in memory
_READ_SUFFIXES = {".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken", ".py"}


def hash_named_model(name: str, trust_remote_code: bool = False) -> str:
    """The digest of the files of a model, named as for `load`, without loading it.

    Raises:
        ModelError: there is no such model, or its folder may not be loaded.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        return _hash_files([path], path.parent)
    _, folder = resolve_name(name, trust_remote_code)
    check_files(name, folder, trust_remote_code=trust_remote_code)
    return _hash_files([file for file in folder.iterdir() if file.suffix in _READ_SUFFIXES and file.is_file()], folder)


def hash_loaded_model(model: Model) -> str:
    """The digest of a model in memory: of each tensor its name, shape, type and about `SAMPLED_VALUES` values."""
    digest = hashlib.sha256(str(getattr(model.tokenizer, "chat_template", None)).encode())
    state: dict[str, Any] = model.hf_model.state_dict()
    for name, tensor in sorted(state.items()):
        if not isinstance(tensor, torch.Tensor) or tensor.is_meta:
            continue  # a setting, or weights that accelerate keeps on a disk
        values = tensor.detach().reshape(-1)
        sampled = values[:: max(1, len(values) // SAMPLED_VALUES)].to("cpu").contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(sampled.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _hash_files(files: list[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        sizes = {file: file.stat().st_size for file in files}
        is_whole = sum(sizes.values()) <= WHOLE_BYTES
        for file in sorted(files):
            digest.update(f"{file.relative_to(folder).as_posix()} {sizes[file]}\n".encode())
            _add_file(digest, file, sizes[file], is_whole)
    except OSError as error:
        problem = f"the files of the model in {folder} cannot be read: {error}"
        raise ModelError(problem, "Check that the files are complete and that you may read them.") from error
    return digest.hexdigest()


def _add_file(digest: Any, file: Path, size: int, is_whole: bool) -> None:
    with file.open("rb") as opened:
        if is_whole or size <= SAMPLED_BLOCKS * BLOCK_BYTES:
            while block := opened.read(BLOCK_BYTES):
                digest.update(block)
            return
        for i in range(SAMPLED_BLOCKS):
            opened.seek(i * (size - BLOCK_BYTES) // (SAMPLED_BLOCKS - 1))
            digest.update(opened.read(BLOCK_BYTES))
