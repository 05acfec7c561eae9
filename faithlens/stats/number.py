"""One number with its interval, as it stands in a sentence: .62 (95 % interval .51 to .72, 80 questions)."""

from dataclasses import dataclass, fields

import pandas as pd

from faithlens.stats.estimate import select_scalars


@dataclass(frozen=True)
class MeasuredNumber:
    """One scalar estimate: mean, 95 % interval, questions used and dropped, and a reason as in `Estimate`.

    Where the interval is withheld, its ends are None. Nothing lies surely above or below a threshold then.
    """

    value: float
    low: float | None
    high: float | None
    n_used: int
    n_dropped: int
    reason: str | None = None

    def __str__(self) -> str:
        interval = "" if self.low is None else f"95 % interval {format_number(self.low)} to "
        interval += self.reason or "interval withheld" if self.high is None else format_number(self.high)
        return f"{format_number(self.value)} ({interval}, {self.n_used} questions)"

    def is_above(self, threshold: float) -> bool:
        """Whether the whole interval lies at the threshold or above it."""
        return self.low is not None and self.low >= threshold

    def is_below(self, threshold: float) -> bool:
        """Whether the whole interval lies below the threshold."""
        return self.high is not None and self.high < threshold


def format_number(x: float) -> str:
    """Two decimals, without a minus sign on zero."""
    text = f"{x:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def format_ends(low: float | None, high: float | None, joint: str = " to ") -> str:
    """The ends of an interval; that it is withheld, where there are none."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return "interval withheld"
    return f"{format_number(low)}{joint}{format_number(high)}"


def select_numbers(estimates: pd.DataFrame) -> dict[str, MeasuredNumber]:
    """The defined scalar estimates of one (model, task) by measure."""
    scalar = select_scalars(estimates).dropna(subset=["value"])
    columns = [field.name for field in fields(MeasuredNumber)]
    known = scalar[columns].astype(object).where(scalar[columns].notna(), None)
    rows = known.assign(measure=scalar["measure"]).to_dict("records")
    return {row.pop("measure"): MeasuredNumber(**{str(name): x for name, x in row.items()}) for row in rows}
