"""`power`: what a run of so many questions can show; before the run from guesses, after it from its folder."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from faithlens.errors import ConfigError, RunError, check_choice, check_fields
from faithlens.measures.catalogue import get_measure
from faithlens.stats.estimate import select_scalars
from faithlens.stats.interval import Estimate, to_optional
from faithlens.stats.number import format_number
from faithlens.stats.power import DEFAULT_POWER, Power, compute_power_after, compute_power_before, count_informative
from faithlens.stats.verdict import list_askable_measures
from faithlens.store import Run

HALF_WIDTH = 0.05


@dataclass(frozen=True)
class Aim:
    """The precision that the questions should give.

    Attributes:
        half_width: half of the 95 % interval, in the measure's unit.
        power: the probability to detect the smallest detectable effect.
    """

    half_width: float = HALF_WIDTH
    power: float = DEFAULT_POWER

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.half_width > 0:
            raise ConfigError(f"half_width must be above 0, got {self.half_width:g}", "Give a positive number.")
        if not 0 < self.power < 1:
            raise ConfigError(f"power must be between 0 and 1, got {self.power:g}", "Give a probability, such as 0.8.")


@dataclass(frozen=True)
class Guess:
    """What is expected of a run.

    Attributes:
        n: the number of questions.
        accuracy_without, accuracy_full: accuracy without and with the chain of thought; both or neither.
        change: the value of a measure that is yes or no in each question.
        sd: the standard deviation over questions of any other measure, in its unit.
    """

    n: int
    accuracy_without: float | None = None
    accuracy_full: float | None = None
    change: float | None = None
    sd: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.n < 1:
            raise ConfigError(f"n must be at least 1 question, got {self.n}", "Give -n a positive number.")
        if (self.accuracy_without is None) != (self.accuracy_full is None):
            problem = "only one accuracy is given: both are needed to know how many answers can change"
            raise ConfigError(problem, "Give --accuracy and --without, or neither.")
        if (self.change is None) == (self.sd is None):
            problem = "exactly one of --change and --sd is needed, to know how much questions differ"
            raise ConfigError(problem, "Give --change for a yes/no measure, else --sd.")
        for name, share in (
            ("accuracy", self.accuracy_full),
            ("without", self.accuracy_without),
            ("change", self.change),
        ):
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"--{name} must be from 0 to 1, got {share:g}", "Give a number from 0 to 1.")
        if self.sd is not None and self.sd < 0:
            raise ConfigError(f"--sd must be 0 or more, got {self.sd:g}", "Give a standard deviation of 0 or more.")
        if self.change is not None and self.max_change is not None and self.change > self.max_change + 1e-9:
            pair = f"{format_number(self.accuracy_without or 0)} and {format_number(self.accuracy_full or 0)}"
            problem = (
                f"--change must be at most {format_number(self.max_change)} for accuracies of {pair},"
                f" got {format_number(self.change)}"
            )
            raise ConfigError(problem, "Give a smaller change, or other accuracies.")

    @property
    def accuracies(self) -> tuple[float, float] | None:
        """The guessed accuracies without and with the chain of thought; None if there is no guess."""
        if self.accuracy_without is None or self.accuracy_full is None:
            return None
        return self.accuracy_without, self.accuracy_full

    @property
    def max_change(self) -> float | None:
        """The largest share of answers that these accuracies allow to change."""
        return None if self.accuracies is None else count_informative(1, *self.accuracies)


@dataclass(frozen=True)
class MeasurePower:
    """What a finished run shows about one measure, and how many questions would show more."""

    estimate: Estimate
    power: Power


def predict_power(guess: Guess, aim: Aim = Aim()) -> Power:
    """What a run will show if the guess is right."""
    return compute_power_before(
        guess.n, aim.half_width, share=guess.change, sd=guess.sd, accuracies=guess.accuracies, power=aim.power
    )


def compute_run_power(run: Run, measures: Sequence[str] = (), aim: Aim = Aim()) -> list[MeasurePower]:
    """What a finished run shows about each measure, by model and task.

    The change that accuracies allow is known for measures that are mean shares of changed answers. It follows from the
    accuracy after the edit and that after the whole chain of thought.

    Args:
        run: a finished run.
        measures: names of measures; without any, those that a verdict can use.
        aim: the precision that the questions should give.

    Raises:
        RunError: the run is not finished, or a measure was not scored in it.
    """
    table = select_scalars(run.read("estimates"))
    known = set(table["measure"])
    for measure in measures:
        check_choice(measure, sorted(known), f"measure of the run {run.path}", RunError)
    chosen = measures or [measure for measure in list_askable_measures() if measure in known]
    rows = [row for measure in chosen for row in table[table["measure"] == measure].to_dict("records")]
    return [
        MeasurePower(e, compute_power_after(e, aim.half_width, accuracies=find_accuracies(e, table), power=aim.power))
        for e in map(_read_estimate, rows)
    ]


def _read_estimate(row: Mapping[Hashable, Any]) -> Estimate:
    """A row of `estimates.parquet`, with None where the table has gaps."""
    known: dict[str, Any] = {str(name): None if pd.isna(x) else x for name, x in row.items()}
    return Estimate(**known)


def find_accuracies(estimate: Estimate, table: pd.DataFrame) -> tuple[float, float] | None:
    """The accuracies after a measure's edit and after the whole chain; None if they do not bound the measure."""
    measure = get_measure(estimate.measure)
    if measure.bound_accuracy is None or not measure.askable:
        return None
    own = table[(table["model"] == estimate.model) & (table["task"] == estimate.task)].set_index("measure")["value"]
    pair = [to_optional(float(own.get(name, float("nan")))) for name in (measure.bound_accuracy, "accuracy.full")]
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])
