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
    """Run torch on one thread.

    This is as fast or faster for such small models, and results do not depend on the number of threads. Several threads
    wait for each other at every operation, so one busy core would stall all of them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_on_cores(
    work: Callable[..., Output], arguments: Sequence[tuple[object, ...]], jobs: int = 1
) -> Iterator[Output]:
    """The result of `work` for each of `arguments`, in their order, each as soon as it and all before it are done.

    The first error is raised in the place of its result, and no process outlives this one.

    Args:
        work: a function that can be pickled, like its arguments and results.
        arguments: the arguments of each call.
        jobs: the number of processes, of one thread each; 1 for none beside this one.
    """
    if jobs == 1:
        with use_one_core():
            yield from starmap(work, arguments)
    elif arguments:
        with ProcessPoolExecutor(min(jobs, len(arguments)), get_context("spawn"), _prepare_worker) as pool:
            yield from pool.map(work, *zip(*arguments, strict=True))


def _prepare_worker() -> None:
    torch.set_num_threads(1)
    os.environ["TTY_COMPATIBLE"] = "0"  # else progress bars would overwrite each other
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is killed; it would otherwise finish all queued work."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
