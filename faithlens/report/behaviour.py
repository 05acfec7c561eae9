"""The behavioural tests as one table: each number with its control, and with the bounds that the accuracies set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faithlens.measures.catalogue import HEADINGS, MEASURES, Measure

EstimateRow = Mapping[str, Any]
"""One estimate, as a row of the estimates table."""


@dataclass(frozen=True)
class ReportedRow:
    """One line of the table.

    Attributes:
        label, meaning: those of the measure.
        estimate: the estimate of the measure.
        control: the estimate of its control or noise floor; None where there is none.
        low, high: the bounds that the accuracies set; None where they set none.
    """

    label: str
    meaning: str
    estimate: EstimateRow
    control: EstimateRow | None
    low: EstimateRow | None
    high: EstimateRow | None


def list_tests(estimates: Mapping[str, EstimateRow]) -> dict[str, list[ReportedRow]]:
    """The tests that were run on one model and task, by heading.

    Args:
        estimates: the scalar estimates by measure.
    """
    headings = dict.fromkeys([*HEADINGS, *(measure.heading for measure in MEASURES.values() if measure.heading)])
    lines = {
        heading: [measure for name, measure in MEASURES.items() if measure.heading == heading and name in estimates]
        for heading in headings
    }
    return {heading: list(_list_rows(measures, estimates)) for heading, measures in lines.items() if measures}


def _list_rows(measures: Sequence[Measure], estimates: Mapping[str, EstimateRow]) -> Iterator[ReportedRow]:
    """The rows that have a number; where no row has a number, the first row, which gives the reason."""
    measured = [measure for measure in measures if estimates[measure.name]["value"] is not None]
    yield from (_make_row(measure, estimates) for measure in measured or measures[:1])


def _make_row(measure: Measure, estimates: Mapping[str, EstimateRow]) -> ReportedRow:
    control = estimates.get(measure.control) if measure.control else None
    # An excess over a noise floor has an upper bound alone, which says nothing without its lower bound.
    ends = (measure.bound_low, measure.bound_high) if measure.bound_low else (None, None)
    low, high = (estimates.get(end) if end else None for end in ends)
    return ReportedRow(measure.label, measure.meaning, estimates[measure.name], control, low, high)
