"""Where a run lies: in a folder, or under an address of an object store, such as ``s3://bucket/run``.

An address is read and written through fsspec. universal_pathlib gives it the methods of `pathlib.Path`, so a place is
used like a folder; what the two do differently is here:

1. An object appears whole or not at all when it is put, so nothing is written under a temporary name and moved.
2. There are no folders to make.
3. The client of a store has exceptions of its own: they become OSErrors, as those of a disk are.
"""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.request import url2pathname

from faithlens.errors import RunError, check_choice, describe_foreign, is_foreign

if TYPE_CHECKING:
    Place = Path
    """A folder or file, or an address, which has the methods of a `Path` and is of a class of universal_pathlib."""
else:
    Place = object

ADDRESSES = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "memory": ""}
"""Each kind of address, and the extra of faithlens that installs its client."""


def find_place(name: str | Place) -> Place:
    """The place that a user names: a folder or file, or an address, which behaves like a `Path`.

    Raises:
        RunError: the kind of address is unknown, its client is not installed, or it holds a key.
    """
    if not isinstance(name, str) or "://" not in name:
        return Path(name) if isinstance(name, str) else name
    kind, _, rest = name.partition("://")
    check_choice(kind, [*ADDRESSES, "file"], "kind of address", RunError)
    if kind == "file":
        return Path(url2pathname(rest))
    bucket, _, folder = rest.partition("/")
    if "@" in bucket:
        raise RunError(
            f"the {kind} address of a run holds a user name or a key",
            "Leave it out, and give the key as the client of the store reads it, in the environment or its own file.",
        )
    if not bucket or not folder.strip("/"):
        raise RunError(f"the address {name} names no folder of a bucket", f"Write {kind}://BUCKET/FOLDER.")
    try:
        place = import_module("upath").UPath(name.rstrip("/"), use_listings_cache=False)
        _ = place.fs
    except ImportError as error:
        extra = ADDRESSES[kind]
        raise RunError(
            f"the client of {kind}:// addresses is not installed: {error}",
            f"Install it: pip install '{f'faithlens[{extra}]' if extra else 'universal-pathlib'}'.",
        ) from error
    return cast(Path, place)


def is_address(place: Place) -> bool:
    """Whether a place lies in an object store, and not in a file system of this machine."""
    return not isinstance(cast(object, place), Path)


def get_store(place: Place) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path of the place in it."""
    address = cast(Any, place)
    return address.fs, address.path


@contextmanager
def raise_os_errors(place: Place) -> Iterator[None]:
    """Turn what the client of an object store raises into an OSError, and a path that no system can have."""
    try:
        yield
    except OSError:
        raise
    except ValueError as error:
        if "\0" not in str(place):
            raise
        raise OSError(errno.EINVAL, "the path holds a NUL character") from error
    except Exception as error:
        if not (is_address(place) and is_foreign(error)):
            raise
        raise OSError(describe_foreign(error)) from error


def read_content(place: Place) -> bytes:
    """The content of a file or object. Raises OSError where it cannot be read."""
    with raise_os_errors(place):
        if not is_address(place):
            check_regular(place)
            return place.read_bytes()
        store, path = get_store(place)
        return store.cat_file(path)


def check_regular(path: Path) -> None:
    """Raise OSError for a pipe or a device, whose content may have no end; for a folder, reading it says so."""
    if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file")


def remove_file(place: Place) -> None:
    """Remove a file or object, if it is there. Raises OSError where it cannot be removed."""
    with raise_os_errors(place), suppress(FileNotFoundError):
        if is_address(place):
            store, path = get_store(place)
            store.rm_file(path)
        else:
            place.unlink()


def exists(place: Place) -> bool:
    """Whether there is a file or folder. Raises OSError where the store does not answer."""
    with raise_os_errors(place):
        return place.exists()


def list_files(folder: Place, subfolder: str) -> list[str]:
    """The names of the files that lie in a folder, and at any depth in one of its subfolders; with forward slashes.

    There are none where the folder is not there, nor the bucket of an address. Raises OSError where they cannot be
    listed.
    """
    with raise_os_errors(folder):
        if not is_address(folder):
            paths = [path for path in (*folder.glob("*"), *folder.glob(f"{subfolder}/**/*")) if not path.is_dir()]
            return sorted(path.relative_to(folder).as_posix() for path in paths)
        store, start = get_store(folder)
        try:
            objects = [*store.find(start, maxdepth=1), *store.find(f"{start}/{subfolder}")]
        except FileNotFoundError:  # some versions of s3fs raise it where there is no bucket
            return []
        return sorted(name.removeprefix(start).strip("/") for name in objects)
