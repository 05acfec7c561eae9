"""The manifest of a run: what its numbers depend on, and the digest of each of its files.

1. `make_manifest` collects the options, the seed, the versions, the code, and the digests of what the run reads
   (weights, questions, chains of thought that were written elsewhere): the **identity** of the run.
2. While the run is written, the manifest keeps the digest of each finished file under "files".
3. `write_manifest` adds the version of the schema, and a **seal**, the SHA-256 of all other entries, so that a changed
   manifest is noticed as well.
4. Before a run is continued, `list_differences` compares its identity with the one of the new command.

For example, {"config": {"n": 4}, "files": {"scores.parquet": {"size": 812, "sha256": "5f..."}}, "seal": "a0..."}.

A change of a file together with its digest and the seal is not noticed: digests detect accidents and carelessness, and
are no signature.
"""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from faithlens.errors import RunError, suggest_path
from faithlens.store.files import write_atomically
from faithlens.store.places import Place, is_address, read_content
from faithlens.store.shapes import ManifestFile
from faithlens.strict_json import find_misfit, parse_strictly

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
"""The version of everything that a run folder holds: entries of the manifest, names of files, columns of tables.

It is raised with every change after which an older faithlens would misread a run.
"""
_SURROGATES = re.compile("[\ud800-\udfff]")
IDENTITY = ("config", "seed", "versions", "code", "device", "inputs")
"""The entries of a manifest that must be the same when a run is continued."""


def make_manifest(
    config: Mapping[str, Any], seed: int, device: str, inputs: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a reader needs to make the numbers again.

    Args:
        config: the options, as plain JSON.
        seed: the seed of questions, edits, sampling and intervals.
        device: where the models run.
        inputs: the digest of each thing that the run reads, such as the weights of a model.
    """
    return {
        "config": dict(config),
        "seed": seed,
        **describe_code(),
        "commit": read_commit(),
        "device": device,
        "platform": platform.platform(),
        "inputs": dict(inputs or {}),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_code() -> dict[str, Any]:
    """What computes the numbers: the versions of libraries, and the digest of faithlens' own code."""
    return {"versions": read_versions(), "code": hash_code()}


def read_versions() -> dict[str, str | None]:
    """Versions of Python and of the libraries that move numbers; None where one is not installed."""
    names = ("faithlens", "torch", "transformers", "transformer-lens", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: _read_version(name) for name in names}


def _read_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_commit() -> str | None:
    """The git commit of the faithlens checkout; None for an installed wheel or where git is missing."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        out = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.stdout.strip()


@cache
def hash_code() -> str:
    """The SHA-256 of the Python files of faithlens: the same for a checkout and a wheel of it, committed or not."""
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def list_identity_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where the identities of two manifests differ; entries that the new one does not give are not compared."""
    plain = json.loads(json.dumps({name: new[name] for name in IDENTITY if name in new}))
    return [
        difference
        for name, value in plain.items()
        for difference in list_differences(old.get(name), value, "" if name == "config" else name)
    ]


def list_differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Where two JSON values differ, each as ``name: old in the folder, new given``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [d for key in keys for d in list_differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))]
    return [] if old == new else [f"{name}: {old!r} in the folder, {new!r} given"]


def write_manifest(folder: Place, entries: Mapping[str, Any]) -> None:
    """Write the manifest of a run folder with its seal, whole or not at all. Raises RunError as `write_atomically`."""
    unsealed = {"schema_version": SCHEMA_VERSION} | {name: value for name, value in entries.items() if name != "seal"}
    text = format_json({**unsealed, "seal": compute_seal(unsealed)})
    with write_atomically(folder / MANIFEST_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_manifest(folder: Place) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        RunError: it is missing, broken, not what faithlens wrote, or of another schema.
    """
    path = folder / MANIFEST_NAME
    try:
        content = read_content(path)
    except (FileNotFoundError, NotADirectoryError):
        problem = f"{folder} is not a run folder: it has no {MANIFEST_NAME}"
        near = "" if is_address(folder) or folder.exists() else suggest_path(folder)
        raise RunError(problem, f"{near}Name a folder that faithlens wrote.") from None
    except OSError as error:
        problem = f"the {MANIFEST_NAME} of the run in {folder} cannot be read: {error.strerror or error}"
        raise RunError(problem, "Check that you may read the folder, then repeat the command.") from error
    try:
        entries = parse_json(content)
        if not isinstance(entries.get("files"), dict) or "seal" not in entries:
            raise ValueError("it holds no digests of the files of the run")
        _check_schema(folder, entries)
        if entries["seal"] != compute_seal({name: value for name, value in entries.items() if name != "seal"}):
            raise ValueError("its content was changed after faithlens wrote it")
        if misfit := find_misfit(entries, ManifestFile):
            raise ValueError(f"it {misfit}")
    except ValueError as error:
        problem = f"the {MANIFEST_NAME} of the run in {folder} cannot be believed: {error}"
        raise RunError(problem, "Restore the file from a copy, or run the audit again in a new folder.") from error
    return Manifest(folder, entries)


class Manifest(dict[str, Any]):
    """The entries of a manifest, of which a missing one is an error that names it."""

    def __init__(self, folder: Place, entries: Mapping[str, Any]) -> None:
        super().__init__(entries)
        self._folder = folder

    def __missing__(self, name: str) -> Any:
        problem = f"the {MANIFEST_NAME} of the run in {self._folder} has no entry {name!r}"
        raise RunError(problem, "Restore the file from a copy, or run the command again in a new folder.")


def _check_schema(folder: Place, entries: Mapping[str, Any]) -> None:
    version = entries.get("schema_version")
    if type(version) is not int or version < SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {version!r}, and this faithlens reads {SCHEMA_VERSION}")
    if version == SCHEMA_VERSION:
        return
    versions = entries.get("versions")
    writer = versions.get("faithlens") if isinstance(versions, dict) else None
    problem = f"the run in {folder} has schema version {version}, and this older faithlens reads {SCHEMA_VERSION}"
    raise RunError(problem, f"Install faithlens {writer or 'of the version that wrote the run'} or newer.")


def parse_json(content: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for anything else."""
    value = parse_strictly(content.decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def format_json(content: Mapping[str, Any]) -> str:
    """A JSON object as text for a file. Raises ValueError for NaN."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return json.dumps(content, indent=2, allow_nan=False) + "\n"  # of a file name that is no UTF-8, for example


def compute_seal(entries: Mapping[str, Any]) -> str:
    """The SHA-256 of the entries of a JSON object."""
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
