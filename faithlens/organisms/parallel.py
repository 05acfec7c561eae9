"""Work on small models: on one core each, and on several cores at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import starmap
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

import torch

Output = TypeVar("Output")


@contextmanager
def use_one_core() -> Iterator[None]:
    """Run torch on one thread: as fast for models this small, or faster, and free of the thread count's rounding.

    Several threads wait for each other at every operation, so a busy neighbour on one core stalls them all.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_on_cores(work: Callable[..., Output], arguments: Sequence[tuple], jobs: int = 1) -> Iterator[Output]:
    """What `work` makes of each of `arguments` on one core, in their order, as soon as it and those before it are made.

    With `jobs` above 1, so many are made at once, in processes of one thread each, and `work`, what it takes and what it
    gives must be such as can be pickled. The first error is raised in its place, and no process outlives this one.
    """
    if jobs == 1:
        with use_one_core():
            yield from starmap(work, arguments)
    elif arguments:
        with ProcessPoolExecutor(min(jobs, len(arguments)), get_context("spawn"), _prepare_worker) as pool:
            yield from pool.map(work, *zip(*arguments, strict=True))


def _prepare_worker() -> None:
    torch.set_num_threads(1)
    os.environ["TTY_COMPATIBLE"] = "0"  # bars of progress would write over each other
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's processes go on with what is queued when the one that made them is killed: end them with it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
