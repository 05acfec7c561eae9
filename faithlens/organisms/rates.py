"""Counts on held-out questions, as shares with exact intervals: what certificates are made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jaxtyping import Bool, Int
from scipy.stats import binomtest
from torch import Tensor

MIN_SOUND_SHARE = 0.9
"""A sound model has at least this share of answers as planted, and rates that are off by at most the rest."""


@dataclass(frozen=True)
class Rate:
    """A count, its share, and its exact 95 % interval (Clopper and Pearson 1934), in fractions.

    Attributes:
        hits: how often it happened.
        n: among how many.
        value: hits / n.
        low: the lower end of the interval.
        high: the upper end of the interval.
    """

    hits: int
    n: int
    value: float
    low: float
    high: float


def make_rate(hits: Int[Tensor, ""] | int, n: int) -> Rate:
    """The share `hits / n` with its exact 95 % interval; `n` is at least 1."""
    interval = binomtest(int(hits), n).proportion_ci(method="exact")
    return Rate(int(hits), n, int(hits) / n, float(interval.low), float(interval.high))


def compute_rate_among(hits: Bool[Tensor, " batch"], selected: Bool[Tensor, " batch"]) -> Rate | None:
    """How often `hits` is true among the selected; None if none is selected."""
    return make_rate(hits[selected].sum(), int(selected.sum())) if selected.any() else None


def to_plain_data(rates: Mapping[str, Rate | None]) -> dict[str, dict | None]:
    """Rates by name, as plain data for JSON."""
    return {name: rate and asdict(rate) for name, rate in rates.items()}
