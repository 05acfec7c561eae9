"""Files that are written whole or not at all, and digests that say whether a file is what was written."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from faithlens.errors import RunError
from faithlens.store.places import Place, check_regular, exists, get_store, is_address, raise_os_errors, read_content

_BLOCK_BYTES = 1 << 20


def quote_key(key: str) -> str:
    """A key as the name of a file, which `urllib.parse.unquote` reads again; never a hidden file.

    For example the key of a model in this folder, ``./model sums 0``, is ``%2E%2Fmodel%20sums%200``. Names that begin
    with a dot are those of temporary files.
    """
    name = quote(key, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


class FileDigest(NamedTuple):
    """What identifies the content of a file: its length in bytes, and its SHA-256 in hex."""

    size: int
    sha256: str

    @classmethod
    def of_content(cls, content: bytes) -> "FileDigest":
        """The digest of bytes in memory."""
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def of_file(cls, path: Place) -> "FileDigest":
        """The digest of a file. Raises OSError where it cannot be read."""
        if is_address(path):
            return cls.of_content(read_content(path))
        check_regular(path)
        digest, length = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                length += len(block)
        return cls(length, digest.hexdigest())


@contextmanager
def write_atomically(path: Place) -> Iterator[Place]:
    """A temporary file that becomes `path` only when the block ends well; missing folders are made.

    Raises:
        RunError: the file cannot be written: the disk is full, read-only, or above its quota.
    """
    with _write_object(path) if is_address(path) else _write_file(path) as temporary:
        yield temporary


@contextmanager
def _write_object(path: Place) -> Iterator[Place]:
    """A temporary file of this machine, which is put into the store as a whole."""
    try:
        with TemporaryDirectory(prefix="faithlens-") as folder:
            temporary = Path(folder) / "object"
            yield temporary
            with raise_os_errors(path):
                store, name = get_store(path)
                store.put_file(str(temporary), name)
    except OSError as error:
        raise make_write_error(path, error) from error


@contextmanager
def _write_file(path: Place) -> Iterator[Place]:
    temporary = _name_temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush_file(temporary)
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        raise make_write_error(path, error) from error
    finally:
        _remove_if_there(temporary)


def write_once(path: Place, text: str) -> bool:
    """Write a file that is not there yet, whole or not at all; False if it is there, whoever wrote it.

    Of several writers, also on several machines, exactly one succeeds.

    Raises:
        RunError: the file cannot be written.
    """
    if is_address(path):
        return _put_once(path, text.encode())
    temporary = _name_temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        flush_file(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            flush_file(path)
        flush_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise make_write_error(path, error) from error
    finally:
        _remove_if_there(temporary)
    return True


def _put_once(path: Place, content: bytes) -> bool:
    try:
        with raise_os_errors(path):
            store, name = get_store(path)
            store.pipe_file(name, content, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        raise make_write_error(path, error) from error
    return True


def make_write_error(path: Place, error: OSError) -> RunError:
    """The error for a file that cannot be written."""
    fix = "Check that the folder exists and that you may write there, then repeat the command."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        fix = "Make room on the disk, then repeat the command; a stopped run goes on with --resume DIR."
    return RunError(f"{path} cannot be written: {error.strerror or error}", fix)


def lies_in(path: Place, folder: Place) -> bool:
    """Whether something lies at `path`, and, links followed, in `folder`; it may be a link to nothing."""
    if is_address(path):
        return exists(path)
    return os.path.lexists(path) and path.parent.resolve().is_relative_to(folder.resolve())


def move_file(path: Place, target: Place) -> None:
    """Move a file to `target`, or to a name with a number where that is taken; missing folders are made.

    Raises:
        RunError: it cannot be moved.
    """
    number, free = 0, target
    try:
        while exists(free) if is_address(free) else os.path.lexists(free):
            number += 1
            free = target.with_name(f"{target.name}.{number}")
        if is_address(path):
            with raise_os_errors(path):
                store, name = get_store(path)
                store.mv(name, get_store(free)[1])
        else:
            free.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, free)
    except OSError as error:
        raise make_write_error(free, error) from error


def remove_temporary_files(folder: Place) -> None:
    """Remove what writers that were killed left in a run folder. Nobody else may be writing into it."""
    if is_address(folder):
        return
    for pattern in (".*.tmp", "parts/*/.*.tmp", "units/.*.tmp", "chains/.*.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def read_digest(entry: Any) -> FileDigest | None:
    """A digest as the manifest holds it, `{"size": 12, "sha256": "ab..."}`; None for anything else."""
    try:
        return FileDigest(int(entry["size"]), str(entry["sha256"]))
    except (TypeError, KeyError, ValueError):
        return None


def flush_folder(folder: Place) -> None:
    """Make the names in a folder survive a power cut. Raises OSError where the disk refuses."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders, and keeps names in order itself
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of a file system that has no such call
            raise
    finally:
        os.close(descriptor)


def _name_temporary(path: Place) -> Place:
    """A name beside `path` that no other writer uses, on this machine or another."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def flush_file(path: Place) -> None:
    """Make the content of a file survive a power cut. Raises OSError where the disk refuses."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove_if_there(path: Place) -> None:
    with suppress(OSError):  # if the disk turned read-only, the error of the write itself says so
        path.unlink(missing_ok=True)
