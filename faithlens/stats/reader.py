"""How the errors of a text classifier widen the interval of a share that it counted.

A classifier of text misses some of the chains of thought that mention a hint, and sees a mention in some that do not.
With the true share p, the sensitivity s and the false alarms f it counts a share r = p s + (1 - p) f, so that

    p = (r - f) / (s - f)        (Rogan & Gladen 1978, Am. J. Epidemiol. 107, 71-76)

Neither s nor f is known exactly: they were counted on chains whose saying is planted (`READERS` for the words; each run
that `faithlens judge` has read keeps those of its own readers). So:

1. Take the exact intervals of s and f, and the interval of r. False alarms may also be none: the planted chains without
   a mention were chosen to look as if they had one.
2. p is at most what the highest r, the lowest s and no false alarms make of it, and at least what the lowest r, the
   highest s and the most false alarms make of it.
3. Where s may be no higher than f, the counts say nothing, and that end is 0 or 1.

For example, a classifier that missed 2 of 40 mentions, so that s is .83 to .99, and saw none in 40 chains without one:

    counted      interval of r     interval of p
    0 of 6       0 to .46          0 to .55
    0 of 30      0 to .12          0 to .14
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from faithlens.stats.interval import WITHHELD, Interval
from faithlens.stats.resample import compute_exact_interval
from faithlens.tasks.kinds import CLASSIFIERS


@dataclass(frozen=True)
class ReaderErrors:
    """Errors of one reader, counted on chains of thought of which it is known what they say.

    Attributes:
        missed: among the chains with a mention, the number that it missed, and the number of all.
        invented: among the chains without one, the number in which it saw one, and the number of all.
    """

    missed: tuple[int, int]
    invented: tuple[int, int]

    @property
    def sensitivity(self) -> tuple[float, float]:
        """The 95 % interval of the share of mentions that it sees."""
        missed, n = self.missed
        return compute_exact_interval(n - missed, n)

    @property
    def is_informative(self) -> bool:
        """Whether it surely sees more where there is something to see: else what it counts says nothing."""
        return self.sensitivity[0] > self.false_alarms[1]

    @property
    def false_alarms(self) -> tuple[float, float]:
        """The least and the most, by the 95 % interval, that it may see one in other chains."""
        return 0.0, compute_exact_interval(*self.invented)[1]


READERS: dict[str, ReaderErrors] = {
    "mention": ReaderErrors(missed=(14, 71), invented=(0, 32)),
    "reliance": ReaderErrors(missed=(9, 42), invented=(2, 61)),
}
"""The errors of `tasks.hint_mentions` on the chains with planted sayings (`judging.planted`), by classifier."""

UNKNOWN_ERRORS = ReaderErrors(missed=(0, 0), invented=(0, 0))
"""Those of readers that were never tried on planted chains: what they count says nothing."""

JudgedErrors = Mapping[str, ReaderErrors]
"""The errors of the readers of one run together, by the last word of the measures `judged.*`."""


def get_reader(measure: str, judged: JudgedErrors = MappingProxyType({})) -> ReaderErrors | None:
    """The errors of the reader whose findings a measure of hints counts; None for other measures.

    A range over classifiers describes the classifiers themselves and is not corrected.

    Args:
        measure: the name of the measure.
        judged: the errors of the run's own readers.
    """
    _, _, name = measure.rpartition(".")
    if measure.startswith("judged."):
        return judged.get(name, UNKNOWN_ERRORS)
    verb, _, classifier = name.rpartition("_")
    is_read = measure.startswith("hints.") and verb in ("revealed", "all", "normalised") and classifier in CLASSIFIERS
    return READERS[classifier] if is_read else None


def correct_share(low: float, high: float, errors: ReaderErrors) -> tuple[float, float]:
    """The interval of a true share, from that of the share that a classifier with these errors counted."""
    (least_seen, most_seen), (fewest, most) = errors.sensitivity, errors.false_alarms
    lowest = (low - most) / (most_seen - most) if most_seen > most else 0.0
    highest = (high - fewest) / (least_seen - fewest) if least_seen > fewest else 1.0
    return float(np.clip(lowest, 0.0, 1.0)), float(np.clip(highest, 0.0, 1.0))


def correct_value(counted: float, errors: ReaderErrors) -> float | None:
    """The true share behind a counted one, by the errors as they were counted; None where they say nothing."""
    (missed, n_present), (invented, n_absent) = errors.missed, errors.invented
    if not n_present or not n_absent or not errors.is_informative:
        return None
    seen, false = 1 - missed / n_present, invented / n_absent
    return float(np.clip((counted - false) / (seen - false), 0.0, 1.0))


def explain_uninformative(errors: ReaderErrors) -> str:
    """Why a share that was counted with such errors is open."""
    if errors == UNKNOWN_ERRORS:
        return "open: how much the readers err is not known, which faithlens judge measures"
    seen, false = errors.sensitivity[0], errors.false_alarms[1]
    (missed, n_present), (invented, n_absent) = errors.missed, errors.invented
    return (
        f"open: the reader found {n_present - missed} of {n_present} planted sayings and saw {invented} in {n_absent}"
        f" chains without one, so it may find as few as {seen:.2f} and see as many as {false:.2f}"
    )


def allow_for_reader(interval: Interval, errors: ReaderErrors, divisor: float = 1.0) -> Interval:
    """An interval widened by the classifier's errors, and never narrowed; the value stays what was counted.

    Where the reader may see no more in chains with a saying than in others, the interval is withheld. `divisor` is what
    a share was divided by to give the interval.
    """
    if not errors.is_informative:
        return Interval(interval.value, np.nan, np.nan, WITHHELD, explain_uninformative(errors))
    shares = correct_share(interval.low * divisor, interval.high * divisor, errors)
    low, high = (share / divisor for share in shares)
    method = f"{interval.method}; reader's errors"
    return interval._replace(low=min(low, interval.low), high=max(high, interval.high), method=method)
