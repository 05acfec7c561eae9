"""Draws: their number, and seeds.

A seed depends on nothing but a text, so that what is drawn for one question never depends on another.
"""

from hashlib import sha256
from numbers import Integral

from faithlens.errors import TaskError


def derive_seed(text: str) -> int:
    """A seed for `text`, 48 bits: the first six bytes of its SHA-256."""
    return int.from_bytes(sha256(text.encode()).digest()[:6])


def check_number(n: object) -> None:
    """Raise TaskError where `n`, the number of questions to draw, is no whole number from 1 on."""
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise TaskError(f"the number of questions must be a whole number from 1 on, got {n!r}", "Pass n=1 or more.")
