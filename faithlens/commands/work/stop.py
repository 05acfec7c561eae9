"""Signals that end a run: by the terminal, by `kill`, or by a scheduler before its time is up.

INT, TERM and HUP drop the unit that is being done. USR1, which a scheduler sends minutes ahead if it is asked to
(``sbatch --signal=B:USR1@300``), lets it be finished first. Either way everything that is finished is kept, and the run
can be continued.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AT_ONCE, _AFTER_UNIT = ("SIGTERM", "SIGHUP"), ("SIGUSR1",)
_requests = list[int]()


class Stopped(KeyboardInterrupt):
    """A signal ended the run.

    Attributes:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def check_stop() -> None:
    """Raise Stopped if a signal asked for the end of the run."""
    if _requests:
        raise Stopped(_requests[-1])


@contextmanager
def listen_to_signals() -> Iterator[None]:
    """Turn the signals into `Stopped` while the block runs. Threads beside the main one get no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = dict.fromkeys(_AT_ONCE, _drop_unit) | dict.fromkeys(_AFTER_UNIT, _finish_unit)
    numbers = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    _requests.clear()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop_unit(number: int, frame: FrameType | None) -> None:
    _requests.append(number)  # a library may swallow the exception
    raise Stopped(number)


def _finish_unit(number: int, frame: FrameType | None) -> None:
    _requests.append(number)
