"""One writer at a time: the lock of a run folder.

In a folder, the operating system holds the lock (flock, or its counterpart on Windows) and lets it go when the process
ends, however it ends. So a lock whose process died is never in the way. The file beside it only says who holds it.

An object store has no such locks, but it puts an object only where there is none, if it is asked to. There the object
that says who writes is the lock itself. It stays when its process is killed: on the same machine the next writer sees
that the process has ended, and takes the lock; on another machine the error names the object, for the user to remove.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock, Timeout

from faithlens.errors import RunError
from faithlens.store.files import make_write_error
from faithlens.store.lease import describe_machine, has_ended, read_start
from faithlens.store.manifest import parse_json
from faithlens.store.places import Place, get_store, is_address, raise_os_errors, read_content, remove_file

LOCK_NAME, WRITER_NAME = ".lock", ".writer.json"


@contextmanager
def hold_folder(folder: Place) -> Iterator[None]:
    """Make `folder`, if it is not there, and keep other writers out of it.

    Raises:
        RunError: another process, or another run of this process, writes into the folder; or it cannot be written.
    """
    with _hold_address(folder) if is_address(folder) else _hold_local(folder):
        yield


@contextmanager
def _hold_local(folder: Place) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire(timeout=0)
    except Timeout:
        problem = f"{folder} is in use: {_describe_writer(_read_holder(folder / WRITER_NAME))} writes into it"
        raise RunError(problem, "Wait until it has ended, or name another folder.") from None
    except (OSError, NotImplementedError) as error:
        known = error if isinstance(error, OSError) else OSError(str(error))
        raise make_write_error(folder, known) from error
    try:
        _write_holder(folder / WRITER_NAME)
        yield
    finally:
        for name in (WRITER_NAME, LOCK_NAME):
            with suppress(OSError):  # Windows removes no file that is open
                (folder / name).unlink(missing_ok=True)
        lock.release()


@contextmanager
def _hold_address(folder: Place) -> Iterator[None]:
    path = folder / WRITER_NAME
    store, name = get_store(path)
    own = _describe_self()
    try:
        with raise_os_errors(path):
            holder = _read_holder(path)
            if holder and has_ended(holder):
                remove_file(path)
            store.pipe_file(name, own, mode="create")
    except FileExistsError:
        problem = f"{folder} is in use: {_describe_writer(_read_holder(path))} writes into it"
        fix = f"Wait until it has ended, or name another folder. If it was killed, remove {path}."
        raise RunError(problem, fix) from None
    except OSError as error:
        raise make_write_error(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError), raise_os_errors(path):  # the next writer sees that this process has ended
            if read_content(path) == own:
                remove_file(path)


def _describe_self() -> bytes:
    holder = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "machine": describe_machine(),
        "start": read_start(os.getpid()),
        "since": datetime.now(UTC).isoformat(),
    }
    return json.dumps(holder).encode()


def _write_holder(path: Place) -> None:
    try:
        path.write_bytes(_describe_self())
    except OSError as error:
        raise make_write_error(path, error) from error


def _read_holder(path: Place) -> dict[str, Any]:
    try:
        return parse_json(read_content(path))
    except (OSError, ValueError):
        return {}


def _describe_writer(holder: dict[str, Any]) -> str:
    try:
        return f"process {holder['process']} on {holder['host']}, since {holder['since']},"
    except KeyError:
        return "another process"
