"""The run folder of an audit, as the process that prepares, continues or concludes it holds it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from faithlens.commands.identity import describe_objects
from faithlens.commands.prepare import NO_OBJECTS, GivenObjects
from faithlens.store import Run, UnitList, hold_folder
from faithlens.store.places import Place


@contextmanager
def hold_run(
    out: Place, manifest: Mapping[str, Any], units: UnitList, objects: GivenObjects = NO_OBJECTS
) -> Iterator[Run]:
    """The run in `out`, a new one or one that is continued; other processes that prepare or conclude it are kept away.

    Raises:
        RunError: another process holds the folder; the run in it has another identity; or it cannot be written.
    """
    with hold_folder(out):
        in_memory = describe_objects(objects)
        facts = {"threads": torch.get_num_threads(), **({"in_memory": in_memory} if in_memory else {})}
        run = Run.create(out, {**manifest, **facts}, resume=Run.is_used(out))
        run.replace_unit_list(units)
        yield run


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Compute with `count` threads, and then with as many as before; None changes nothing."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
