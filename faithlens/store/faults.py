"""Which files of a run folder are not what faithlens wrote?

1. Each file that the manifest lists is read, and its digest compared: it may be missing, torn (shorter than it was),
   or changed. If the content is that of another file of the run, the fault names it.
2. Each file in the place of a part, a table, the verdict or the report that the manifest does not list is foreign.

For example, after ``cp parts/scores/a.parquet parts/scores/b.parquet``, where the manifest lists both, the fault is
"parts/scores/b.parquet holds the content of parts/scores/a.parquet".
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faithlens.errors import RunError
from faithlens.store.files import FileDigest, read_digest
from faithlens.store.places import Place, list_files
from faithlens.store.tables import SCHEMAS, name_part

REPORT_NAME, VERDICT_NAME = "report.html", "verdict.json"
READERS_KEY, MONITORS_KEY = "readers", "monitors"
"""The keys of the parts of the table of scores that `faithlens judge` and `faithlens monitor` write."""
READERS_NAME, MONITORS_NAME = f"{READERS_KEY}.json", f"{MONITORS_KEY}.json"
_OWN_NAMES = {*(f"{table}.parquet" for table in SCHEMAS), VERDICT_NAME, REPORT_NAME, READERS_NAME, MONITORS_NAME}
_JUDGED_NAMES = {READERS_NAME, MONITORS_NAME, *(name_part("scores", key) for key in (READERS_KEY, MONITORS_KEY))}
_MOST_NAMED = 5  # faults in one error
NO_OTHERS: Mapping[FileDigest | None, str] = {}


@dataclass(frozen=True)
class Fault:
    """A file that is not what faithlens wrote.

    Attributes:
        name: the path of the file in the run folder, with forward slashes.
        reason: what is wrong with it, as the end of a sentence that starts with its name.
        is_foreign: whether nothing is done again in place of this file.
    """

    name: str
    reason: str
    is_foreign: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.reason}"


def list_faults(
    folder: Place, files: Mapping[str, Any], *, with_parts: bool = False, unfinished: Collection[str] = ()
) -> list[Fault]:
    """The faults of a run folder, whose manifest and records of units list `files` with their digests.

    Parts in `unfinished` may be there or not: their unit is not finished, and nothing reads them, unless the run has a
    verdict, which needs all units. A finished table needs no parts: if all of them were removed to save space, this
    counts as a fault only where `with_parts` is set, because a run that is continued needs them.
    """
    listed = {name: read_digest(entry) for name, entry in files.items()}
    by_digest = {digest: name for name, digest in listed.items()}
    present = list_files(folder, "parts")
    removed = () if with_parts else tuple(_list_removed_parts(present, listed))
    faults = [
        fault
        for name, digest in listed.items()
        if not name.startswith(removed) and (fault := find_listed_fault(folder, name, digest, by_digest))
    ]
    if VERDICT_NAME in listed:  # nothing is decided before all units are finished
        faults += [Fault(name, "is not listed in the manifest, which lists a verdict") for name in sorted(unfinished)]
    known = {*listed, *unfinished}
    return faults + [
        Fault(name, _explain_foreign(folder / name, by_digest), is_foreign=is_part(name) and not is_judged(name))
        for name in _list_foreign(present, known)
    ]


def is_part(name: str) -> bool:
    """Whether a file of a run is, or stands in the place of, a part of a table."""
    return name.startswith("parts/")


def is_judged(name: str) -> bool:
    """Whether a file of a run was written by `faithlens judge` or `monitor`, so that no audit writes it again."""
    return name in _JUDGED_NAMES or name.startswith("parts/judgements/")


def is_derived(name: str) -> bool:
    """Whether a file of a run is made from its parts without a model, or by `faithlens judge` or `monitor`."""
    return name in _OWN_NAMES or is_judged(name)


def find_fault(name: str, content: bytes, expected: FileDigest | None) -> Fault | None:
    """What is wrong with the content of one file."""
    if expected is None:
        return Fault(name, "is not listed in the manifest")
    actual = FileDigest.of_content(content)
    return None if actual == expected else Fault(name, _explain_change(actual, expected))


def make_fault_error(folder: Place, faults: Iterable[Fault]) -> RunError:
    """The error that names what must not be believed."""
    listed = [*faults]
    named = [str(fault) for fault in listed]
    more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    problem = f"the run in {folder} is not as faithlens wrote it: {'; '.join(named[:_MOST_NAMED])}{more}"
    again = "do the damaged batches again: faithlens audit --resume DIR"
    if all(is_judged(fault.name) for fault in listed):
        again = "repeat the command faithlens judge or monitor, which makes them again"
    return RunError(problem, f"Restore the files from a copy, or {again}.")


def find_listed_fault(
    folder: Place, name: str, expected: FileDigest | None, by_digest: Mapping[FileDigest | None, str] = NO_OTHERS
) -> Fault | None:
    """What is wrong with a file that the manifest lists; `by_digest` names the other files of the run."""
    if expected is None or Path(name).is_absolute() or ".." in Path(name).parts:
        return Fault(name, "has no usable digest in the manifest")
    try:
        actual = FileDigest.of_file(folder / name)
    except FileNotFoundError:
        return Fault(name, "is missing")
    except OSError as error:
        return Fault(name, f"cannot be read ({error.strerror or error})")
    if actual == expected:
        return None
    if actual in by_digest:
        return Fault(name, f"holds the content of {by_digest[actual]}")
    return Fault(name, _explain_change(actual, expected))


def _explain_change(actual: FileDigest, expected: FileDigest) -> str:
    if actual.size < expected.size:
        return f"is torn or changed: it has {actual.size:,} bytes, and {expected.size:,} were written"
    return "was changed or exchanged after it was written"


def _list_removed_parts(present: Sequence[str], listed: Mapping[str, Any]) -> Iterator[str]:
    """How the names of the parts of a finished table start, of which no part is left."""
    for table in SCHEMAS:
        start = f"parts/{table}/"
        if f"{table}.parquet" in listed and not any(name.startswith(start) for name in present):
            yield start


def _list_foreign(present: Sequence[str], listed: Collection[str]) -> Iterator[str]:
    """The files in places of ours that nothing lists; temporary files of a writer have a leading dot."""
    for name in present:
        is_ours = name in _OWN_NAMES or is_part(name)
        if is_ours and name not in listed and not Path(name).name.startswith("."):
            yield name


def _explain_foreign(path: Place, by_digest: Mapping[FileDigest | None, str]) -> str:
    try:
        copied = by_digest.get(FileDigest.of_file(path))
    except OSError:
        copied = None
    return "is not listed in the manifest" + (f", and holds the content of {copied}" if copied else "")
