"""One writer at a time: the lock of a run folder.

The operating system holds the lock (flock, or its counterpart on Windows) and lets it go when the process ends, however
it ends. So a lock whose process died is never in the way. The file beside it only says who holds the lock.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from faithlens.errors import RunError
from faithlens.store.files import make_write_error

LOCK_NAME, WRITER_NAME = ".lock", ".writer.json"


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make `folder`, if it is not there, and keep other writers out of it.

    Raises:
        RunError: another process, or another run of this process, writes into the folder; or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire(timeout=0)
    except Timeout:
        problem = f"{folder} is in use: {_describe_writer(folder)} writes into it"
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


def _write_holder(path: Path) -> None:
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
    try:
        path.write_text(json.dumps(holder), encoding="utf-8")
    except OSError as error:
        raise make_write_error(path, error) from error


def _describe_writer(folder: Path) -> str:
    try:
        holder = json.loads((folder / WRITER_NAME).read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {holder['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
