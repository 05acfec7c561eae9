"""`Score`: one measured number of one question, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import cast

from faithlens.errors import MeasureError, describe_type
from faithlens.measures.catalogue import Unit, cut_rounding, get_measure


@dataclass(frozen=True)
class Score:
    """One measured value.

    Attributes:
        measure: the name of the measure in the catalogue, such as "early_answering.retention".
        value: the number, on the end of its range if only rounding lifts it beyond; None where it is undefined, and
            then `reason` says why.
        condition: the edited version of the trace from which it was read.
        step: the index of the reasoning step that it describes, if it describes one.
        fraction: the place along the chain of thought, 0 to 1, if it is a point of a curve.
        reason: why there is no value.
        weight: the number of steps that the step stands for where only some steps of a long chain were edited.
        unit: the unit of the value, from the catalogue.

    Raises:
        MeasureError: the measure is not in the catalogue, the value is no number, there is not exactly one of value and
            reason, or the step or fraction lies outside of every chain.
    """

    measure: str
    value: float | None
    condition: str = "full"
    step: int | None = None
    fraction: float | None = None
    reason: str | None = None
    weight: float | None = None
    unit: Unit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", get_measure(self.measure).unit)
        if (self.step is not None and self.step < 0) or (self.fraction is not None and not 0 <= self.fraction <= 1):
            problem = f"a score of {self.measure} stands at step {self.step}, fraction {self.fraction} of the chain"
            raise MeasureError(problem, "Count steps from 0, and give the fraction as a share of the chain, 0 to 1.")
        if (self.value is None) == (self.reason is None):
            problem = (
                f"a score of {self.measure} needs either a value or a reason, got {self.value} and {self.reason!r}"
            )
            raise MeasureError(problem, "Pass a value, or None and the reason why there is no value.")
        if self.value is not None:
            fix = f"Write Score({self.measure!r}, float(value))."
            if isinstance(self.value, bool) or not isinstance(cast(object, self.value), Real):
                problem = f"the value of {self.measure} must be a number, got {describe_type(self.value)}"
                raise MeasureError(problem, fix)
            object.__setattr__(self, "value", cut_rounding(self.measure, self.value))


def make_mean_score(
    measure: str, values: Sequence[float], reason: str, weights: Sequence[float] | None = None
) -> Score:
    """The mean of `values`, weighted if `weights` are given; without values, a score with the `reason` instead."""
    if not values:
        return Score(measure, None, reason=reason)
    return Score(measure, compute_mean(values, weights))


def compute_mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The mean of at least one value, weighted if `weights` are given."""
    if weights is None:
        return sum(values) / len(values)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
