"""Libraries may load what lies on this machine, and nothing else: no download, no process such as pip.

Some libraries install what they miss: TransformerLens runs ``pip install torchvision`` for a Gemma 3 with a vision
tower. `forbid_outside` refuses this for the time that a model is loaded.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from huggingface_hub import constants

_IS_FORBIDDEN: ContextVar[bool] = ContextVar("faithlens_forbids_processes", default=False)
_start = subprocess.Popen.__init__
_FUNCTIONS = ("call", "check_call", "check_output", "run")


def _start_unless_forbidden(self: "subprocess.Popen[Any]", args: Any, *more: Any, **options: Any) -> None:
    if _IS_FORBIDDEN.get():
        raise make_refusal(args)
    _start(self, args, *more, **options)


def make_refusal(args: Any) -> PermissionError:
    """The error for a process that a library tries to start."""
    return PermissionError(f"faithlens starts no process while it loads a model, and a library tried to run {args!r}")


def _guard(start: Any) -> Callable[..., Any]:
    """A function of `subprocess` that refuses while processes are forbidden, whatever stands in its place."""

    def start_unless_forbidden(args: Any, *more: Any, **options: Any) -> Any:
        if _IS_FORBIDDEN.get():
            raise make_refusal(args)
        return start(args, *more, **options)

    return start_unless_forbidden


@contextmanager
def forbid_outside() -> Iterator[None]:
    """Refuse new processes of this thread, and let the Hugging Face libraries read local files only."""
    started, offline = subprocess.Popen.__init__, constants.HF_HUB_OFFLINE
    functions = {name: getattr(subprocess, name) for name in _FUNCTIONS}
    guarded = {name: _guard(function) for name, function in functions.items()}
    token = _IS_FORBIDDEN.set(True)
    try:
        subprocess.Popen.__init__ = _start_unless_forbidden  # type: ignore[method-assign]
        subprocess.__dict__.update(guarded)
        constants.HF_HUB_OFFLINE = True
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        subprocess.__dict__.update(functions)
        subprocess.Popen.__init__ = started  # type: ignore[method-assign]
        _IS_FORBIDDEN.reset(token)
