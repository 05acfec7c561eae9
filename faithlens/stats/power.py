"""What a run can show, before it and after it: informative questions, the smallest detectable effect, questions needed.

As accuracy rises fewer answers can change: with accuracies a0 and a1 without and with the chain of thought at most a
share (1 - a0) + (1 - a1) of them (`stats.context`), so that of n questions n min(1, 2 - a0 - a1) are informative. A
detectable effect of the same size is then a larger part of the change that can be seen at all.

The smallest detectable effect is (z_0.975 + z_power) SE, which a two-sided test at 5 % finds with that power (Bloom
1995, Evaluation Review 19, 547-556; for evaluations of language models Miller 2024, 2411.00640). SE is the half-width
over z_0.975, so that a share of 0 or 1 has one too. Questions needed solve half-width = w for n: z^2 sd^2 / w^2 for a
mean; for a share, the smallest n at which the exact interval of n p successes is so narrow.
"""

from bisect import bisect_left
from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np
from scipy.stats import norm

from faithlens.errors import MeasureError
from faithlens.stats.context import compute_headroom
from faithlens.stats.interval import EXACT, NO_METHOD, Estimate
from faithlens.stats.resample import Z, compute_exact_interval
from faithlens.stats.scaling.size_effect import SizeEffect

DEFAULT_POWER = 0.8
NORMAL = "normal"
SQUARE_ROOT = "half-width as 1 / sqrt(n)"


@dataclass(frozen=True)
class Power:
    """What `n` questions can show.

    Attributes:
        n: the number of questions, or of what an estimate counts.
        n_informative: the number of those whose answer can change; None where the accuracies are not known.
        half_width: half of the 95 % interval.
        detectable: the smallest effect that is detected with the given power, in the measure's unit.
        detectable_share: `detectable` divided by the change that the accuracies allow; above 1 nothing can be detected.
        needed: the number of questions for the half-width that is wanted.
        method: how half-widths depend on n.
        reason: why numbers are missing.
    """

    n: int
    n_informative: float | None
    half_width: float | None
    detectable: float | None
    detectable_share: float | None
    needed: int | None
    method: str
    reason: str | None


def compute_power_before(
    n: int,
    half_width: float,
    *,
    share: float | None = None,
    sd: float | None = None,
    accuracies: tuple[float, float] | None = None,
    power: float = DEFAULT_POWER,
) -> Power:
    """What a run of `n` questions will show, from a guess at the measure.

    Args:
        n: the number of questions.
        half_width: the half-width that is wanted.
        share: the guessed value of a measure that is yes or no for each question.
        sd: the guessed standard deviation, over questions, of any other measure.
        accuracies: the guessed accuracies without and with the chain of thought.
        power: the probability to detect the effect.

    Returns:
        The half-width, the smallest detectable effect, and the number of questions needed.

    Raises:
        MeasureError: not exactly one of share and sd is given, or a number is out of its range.
    """
    if (share is None) == (sd is None):
        problem = f"the power of a run needs either a share or a standard deviation, got share={share} and sd={sd}"
        raise MeasureError(problem, "Pass share for a measure that is yes or no in each question, else sd.")
    if share is not None:
        needed = count_questions_for_share(half_width, share)
        return _make_power(n, compute_exact_half_width(n, share), needed, EXACT, accuracies, power)
    needed = count_questions_for_mean(half_width, float(sd or 0.0))
    return _make_power(n, Z * float(sd or 0.0) / sqrt(_check_count(n)), needed, NORMAL, accuracies, power)


def compute_power_after(
    estimate: Estimate | SizeEffect,
    half_width: float,
    *,
    accuracies: tuple[float, float] | None = None,
    power: float = DEFAULT_POWER,
) -> Power:
    """What a run has shown, and what it would take to show `half_width`.

    Dropped questions are expected at the same rate. The smallest detectable effect is one that such a run would find,
    not the effect that was found; for a size effect n counts tasks or seeds where those are resampled.

    Args:
        estimate: one number with its interval.
        half_width, accuracies, power: as for `compute_power_before`; accuracies as measured.

    Returns:
        The half-width, the smallest detectable effect, and the number of questions needed.

    Raises:
        MeasureError: a number is out of its range.
    """
    n, value = estimate.n_used, estimate.value
    if value is None or estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        why = estimate.reason or f"no interval that more questions would narrow ({estimate.method})"
        return Power(n, _count_if_known(n, accuracies), None, None, None, None, NO_METHOD, why)
    half = (estimate.high - estimate.low) / 2
    if estimate.method == EXACT:
        needed, method = count_questions_for_share(half_width, value), EXACT
    else:
        needed, method = ceil(n * (half / _check_half_width(half_width)) ** 2), SQUARE_ROOT
    return _make_power(n, half, ceil(needed * (n + estimate.n_dropped) / n), method, accuracies, power)


def count_informative(n: int, accuracy_without: float, accuracy_full: float) -> float:
    """How many of `n` answers can change, given the accuracies without and with the chain of thought.

    Raises:
        MeasureError: an accuracy is not between 0 and 1.
    """
    for accuracy in (accuracy_without, accuracy_full):
        _check_share(accuracy, "an accuracy")
    return n * float(compute_headroom(np.array([[accuracy_without, accuracy_full]]))[0])


def compute_detectable_effect(half_width: float, power: float = DEFAULT_POWER) -> float:
    """The smallest effect that a two-sided test at 5 % finds with `power`, where the interval has this half-width.

    Raises:
        MeasureError: the power is not between 0 and 1.
    """
    if not 0 < power < 1:
        problem = f"the power of a test must lie between 0 and 1, without 0 and 1, got {power:g}"
        raise MeasureError(problem, "Pass the chance with which the effect is to be found, such as 0.8.")
    return half_width * (1 + float(norm.ppf(power)) / Z)


def compute_exact_half_width(n: int, share: float) -> float:
    """Half of the exact interval of a share of n questions.

    Raises:
        MeasureError: the share is not between 0 and 1, or n is below 1.
    """
    _check_share(share, "a share")
    low, high = compute_exact_interval(share * _check_count(n), n)
    return (high - low) / 2


def count_questions_for_share(half_width: float, share: float) -> int:
    """Questions until the exact interval of a share between 0 and 1 has this half-width.

    Raises:
        MeasureError: the half-width is not positive, or the share is not between 0 and 1.
    """
    _check_half_width(half_width)
    enough = 1
    while compute_exact_half_width(enough, share) > half_width:
        enough *= 2
    sizes = range(enough // 2 + 1, enough + 1)
    return sizes[bisect_left(sizes, -half_width, key=lambda n: -compute_exact_half_width(n, share))]


def count_questions_for_mean(half_width: float, sd: float) -> int:
    """Questions until the interval of a mean has this half-width, where questions have this standard deviation.

    Raises:
        MeasureError: the half-width is not positive, or the standard deviation negative.
    """
    if not 0 <= sd < inf:
        raise MeasureError(f"a standard deviation must be 0 or more, got {sd:g}", "Pass a number such as 0.3.")
    return max(1, ceil((Z * sd / _check_half_width(half_width)) ** 2))


def _make_power(
    n: int, half: float, needed: int, method: str, accuracies: tuple[float, float] | None, power: float
) -> Power:
    detectable, room = (
        compute_detectable_effect(half, power),
        None if accuracies is None else count_informative(1, *accuracies),
    )
    share, reason = (
        detectable / room if room else None,
        "the accuracies leave no room for change" if room == 0 else None,
    )
    return Power(n, _count_if_known(n, accuracies), half, detectable, share, needed, method, reason)


def _count_if_known(n: int, accuracies: tuple[float, float] | None) -> float | None:
    return None if accuracies is None else count_informative(n, *accuracies)


def _check_share(share: float, name: str) -> None:
    if not 0 <= share <= 1:
        raise MeasureError(f"{name} must be between 0 and 1, got {share:g}", "Pass a share, such as 0.3.")


def _check_count(n: int) -> int:
    if n < 1:
        raise MeasureError(f"a run needs at least 1 question, got {n}", "Pass the number of questions.")
    return n


def _check_half_width(half_width: float) -> float:
    if not 0 < half_width < inf:
        raise MeasureError(f"a half-width must be above 0, got {half_width:g}", "Pass a half-width, such as 0.05.")
    return half_width
