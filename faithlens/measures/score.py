"""The noun `Score`: one number about one question, with its unit, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["nat", "logit", "probability", "fraction", "token", "count"]


@dataclass(frozen=True)
class Score:
    """One measured value.

    Attributes:
        measure: what was measured, such as "early_answering.retention".
        value: the number; None where it is undefined, and then `reason` says why.
        unit: what the number is in.
        condition: the edited version of the trace it was read from.
        step: the reasoning step it speaks of, if it speaks of one.
        fraction: where along the chain of thought it was taken, 0 to 1, if it is a point of a curve.
        reason: why there is no value.
    """

    measure: str
    value: float | None
    unit: Unit
    condition: str = "full"
    step: int | None = None
    fraction: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"{self.measure}: a score has either a value or a reason, not both or neither")


def make_mean_score(measure: str, values: Sequence[float], reason: str, unit: Unit = "fraction") -> Score:
    """The mean of `values`; missing for `reason` where there are none."""
    if not values:
        return Score(measure, None, unit, reason=reason)
    return Score(measure, sum(values) / len(values), unit)
