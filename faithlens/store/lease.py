"""Leases: who works on which unit of a run now, on all machines that share its folder.

1. `Leases.take` makes the file ``units/<key>.lease``, which only one worker can do. It holds who the worker is.
2. A thread of the worker touches the file every few seconds: the heartbeat. An object of a store is written again.
3. A worker that finds the lease of another one watches it. If it does not change for `expiry` seconds, or if its
   process ended on this machine, the worker is dead: the lease is removed, under a lock of the folder and only if it
   is still the same, and made anew.

No two clocks are compared: the time of the heartbeat is only compared with itself, and the seconds are counted by the
watching worker's own clock, which cannot be set back.

For example, worker A holds ``a.lease``, last touched at 12:00:00. Its machine loses power. Worker B finds the lease,
sees the same 12:00:00 for 60 seconds, removes the file and takes the unit.

Leases save work; they do not guard files. If two workers do one unit all the same (a machine slept for longer than
`expiry`), the first to finish keeps it (`Run.write_unit`).
"""

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

from faithlens.store.files import quote_key, write_once
from faithlens.store.places import Place, get_store, is_address, list_files, raise_os_errors, read_content, remove_file

EXPIRY_SECONDS = 60.0
"""A worker whose heartbeat does not change for so long counts as dead."""
BEATS = 6  # heartbeats in this time
UNITS_FOLDER = "units"


def name_unit_file(key: str, suffix: str) -> str:
    """The place of a file about one unit in a run folder."""
    return f"{UNITS_FOLDER}/{quote_key(key)}.{suffix}"


def list_unit_files(folder: Place, suffix: str) -> list[str]:
    """The places of all files about units with this suffix in a run folder. Raises OSError as `list_files`."""
    start, end = f"{UNITS_FOLDER}/", f".{suffix}"
    names = list_files(folder, UNITS_FOLDER)
    return [name for name in names if name.startswith(start) and name.endswith(end) and f"{start}." not in name]


@cache
def describe_machine() -> str:
    """A text that identifies this machine, boot and container, in which the number of a process means one process."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def read_start(process: int) -> str | None:
    """When a process of this machine started, in the kernel's own ticks; None where that is not known."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def is_running(process: int, start: str | None) -> bool:
    """Whether a process of this machine that began at `start` is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is somebody else's
    return start is None or read_start(process) in (start, None)


def has_ended(holder: Mapping[str, Any]) -> bool:
    """Whether `holder` is a process of this machine that has ended; another process may have its number by now."""
    process = holder.get("process")
    is_here = holder.get("machine") == describe_machine() and isinstance(process, int)
    return is_here and not is_running(int(process or 0), holder.get("start"))


@dataclass(frozen=True)
class LeaseView:
    """What a lease looked like: its content, and the time of its heartbeat."""

    content: str
    beat: int

    @property
    def holder(self) -> Mapping[str, Any]:
        """Who holds it; empty where the file does not say."""
        with suppress(ValueError):
            entries = json.loads(self.content)
            if isinstance(entries, dict):
                return entries
        return {}

    def has_ended(self) -> bool:
        """Whether the holder is a process of this machine that has ended."""
        return has_ended(self.holder)

    def describe(self) -> str:
        """Who holds it, in words."""
        holder = self.holder
        if not {"process", "host", "since"} <= holder.keys():
            return "another worker"
        return f"process {holder['process']} on {holder['host']}, since {holder['since']}"


@dataclass
class Leases:
    """The leases that one worker takes in a run folder; also a context that keeps them alive and gives them back.

    Attributes:
        folder: the run folder.
        expiry: after so many seconds without a heartbeat the holder of a lease is dead.
    """

    folder: Place
    expiry: float = EXPIRY_SECONDS
    _token: str = field(default_factory=lambda: secrets.token_hex(8))
    _held: set[str] = field(default_factory=set)
    _watched: dict[str, tuple[LeaseView, float]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Leases":
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for key in [*self._held]:
            self.give_back(key)

    def take(self, key: str) -> bool:
        """Take the lease of a unit; False while a living worker holds it."""
        if self._make(key):
            return True
        seen = self.look(key)
        if seen is not None and not self._is_dead(key, seen):
            return False
        return (seen is None or self._move_away(key, seen)) and self._make(key)

    def give_back(self, key: str) -> None:
        """Remove an own lease."""
        self._held.discard(key)
        path = self._find(key)
        with suppress(OSError), nullcontext() if is_address(path) else _lock_folder(path.parent):
            if self._is_own(self.look(key)):
                remove_file(path)

    def look(self, key: str) -> LeaseView | None:
        """The lease of a unit as it is now; None if nobody holds it."""
        try:
            if is_address(self.folder):
                return LeaseView(read_content(self._find(key)).decode("utf-8", "replace"), 0)
            with self._find(key).open(encoding="utf-8", errors="replace") as file:
                beat = os.fstat(file.fileno()).st_mtime_ns
                return LeaseView(file.read(), beat)
        except FileNotFoundError:
            return None

    def _make(self, key: str) -> bool:
        holder = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": describe_machine(),
            "start": read_start(os.getpid()),
            "token": self._token,
        }
        if not write_once(self._find(key), json.dumps(holder)):
            return False
        self._held.add(key)
        self._watched.pop(key, None)
        return True

    def _is_dead(self, key: str, seen: LeaseView) -> bool:
        if seen.has_ended():
            return True
        now = monotonic()
        before, since = self._watched.get(key, (None, now))
        if before != seen:
            since = now
        self._watched[key] = (seen, since)
        return now - since >= self.expiry

    def _move_away(self, key: str, dead: LeaseView) -> bool:
        """Remove the lease of a dead worker; False if another worker was faster."""
        path = self._find(key)
        if is_address(path):  # no store moves an object in one step: two workers may both get the unit, and one keep it
            if self.look(key) == dead:
                remove_file(path)
            return True
        with _lock_folder(path.parent):
            if self.look(key) != dead:
                return False  # a faster worker has taken it, or it is alive after all
            remove_file(path)
        return True

    def _beat(self) -> None:
        while not self._stop.wait(self.expiry / BEATS):
            for key in [*self._held]:
                with suppress(OSError):
                    self._touch(key)

    def _touch(self, key: str) -> None:
        path = self._find(key)
        if not is_address(path):
            os.utime(path)
            return
        seen = self.look(key)
        if seen is not None and self._is_own(seen):
            with raise_os_errors(path):
                store, name = get_store(path)
                store.pipe_file(name, json.dumps({**seen.holder, "beat": secrets.token_hex(4)}).encode())

    def _is_own(self, seen: LeaseView | None) -> bool:
        return seen is not None and seen.holder.get("token") == self._token

    def _find(self, key: str) -> Place:
        return self.folder / name_unit_file(key, "lease")


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Let one worker at a time remove leases. The system ends the lock of a process that dies.

    Where the file system has no locks, nothing is locked: two workers may then do one unit, and one of them keeps it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def list_living(folder: Place) -> list[str]:
    """Who works on units of a run now, in words. A worker that died on another machine cannot be told at one look."""
    living = list[str]()
    for name in list_unit_files(folder, "lease"):
        with suppress(FileNotFoundError):  # it was given back a moment ago
            seen = LeaseView(read_content(folder / name).decode("utf-8", "replace"), 0)
            living += [] if seen.has_ended() else [seen.describe()]
    return living
