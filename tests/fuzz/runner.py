"""How many examples each fuzz test tries, and the bound of time for one of them.

`fuzz(strategies, slice=100)` makes a test of a function of one example. The suite tries `slice` examples, the same ones
in every run. ``python -m tests.fuzz --examples N`` sets the variable `FAITHLENS_FUZZ`, and then every test tries N new
ones. `COUNTS` says how many examples each test ran.

An example fails if the function raises, or if it computes for more than `SECONDS` of processor time.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from faithlens.errors import FaithlensError

VARIABLE = "FAITHLENS_FUZZ"
SECONDS = 20.0
COUNTS: Counter[str] = Counter()


class HangError(Exception):
    """One example took more than `SECONDS` of processor time."""


def check_error(error: FaithlensError) -> None:
    """An error of ours says what was wrong and what to do, without control characters."""
    assert error.problem.strip()
    assert error.fix.strip()
    assert "Traceback" not in str(error)
    assert all(c.isprintable() or c == "\n" for c in str(error)), ascii(str(error))


@contextmanager
def bound_time() -> Iterator[None]:
    """Raise a HangError where the block computes for too long; a process that only waits is not counted."""

    def stop(*_: object) -> None:
        raise HangError(f"more than {SECONDS:.0f} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzz(*strategies: SearchStrategy[Any], slice: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """A test that tries `slice` examples in the suite, and as many as `FAITHLENS_FUZZ` says in a long run."""

    def decorate(check: Callable[..., None]) -> Callable[[], None]:
        @wraps(check)
        def count_and_check(**example: Any) -> None:
            COUNTS[check.__name__] += 1
            with bound_time():
                check(**example)

        n = int(os.environ.get(VARIABLE, "0"))
        chosen = settings(
            max_examples=n or slice,
            derandomize=not n,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )
        return chosen(given(*strategies)(count_and_check))

    return decorate
