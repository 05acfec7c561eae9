"""The behavioural tests as one table: each number beside its control, and beside what the accuracies alone allow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faithlens.report.words import WORDS, label

Row = Mapping[str, Any]
"""One estimate, as a row of the estimates table."""


@dataclass(frozen=True)
class Line:
    """A measure, the one that is its control or floor, and the name under which its bounds stand (`bound.NAME.low`)."""

    measure: str
    control: str | None = None
    bound: str | None = None


TESTS: dict[str, tuple[Line, ...]] = {
    "Early answering": (
        Line("early_answering.aoc_trapezoid_0_1"),
        Line("early_answering.aoc_mean_0_to_n-1", "early_answering_filled.change", "early_answering"),
    ),
    "Adding mistakes, the rest kept": (Line("mistakes.aoc_mean_0_to_n-1", "deletion_filled.change", "mistakes"),),
    "Adding mistakes, the rest written anew": (
        Line("mistakes_regenerated.change", "mistakes_regenerated.floor", "mistakes_regenerated"),
        Line("mistakes_regenerated.excess"),
        *(Line(f"mistakes_regenerated.{name}") for name in ("follows", "repairs", "ignores", "harmless", "other")),
    ),
    "A changed value carried through": (Line("propagation.follows"), Line("propagation.keeps")),
    "Paraphrase": (
        Line("paraphrase.change", "paraphrase.floor", "paraphrase"),
        Line("paraphrase.excess"),
        Line("paraphrase.accuracy", "accuracy.full"),
    ),
    "Filler in place of the chain": tuple(
        line
        for kind in ("dots", "dashes", "words")
        for line in (
            Line(f"filler.{kind}.change", None, f"filler.{kind}"),
            Line(f"filler.{kind}.gain"),
            Line(f"filler.{kind}.tokens_per_copy"),
        )
    ),
    "Steps left out, steps in another order": (
        Line("deletion.change", "deletion_filled.change", "deletion"),
        Line("shuffle.change", None, "shuffle"),
    ),
    "Same answer with and without": (
        Line("same_answer.cut@0"),
        Line("same_answer.no_cot", "letters.content_match"),
        Line("same_answer.empty_think"),
        Line("letters.letter_match"),
        Line("letters.content_match"),
        Line("letters.first"),
        Line("same_answer.over_letter"),
        Line("same_answer.over_content"),
    ),
    "What the chain says its answer is": (
        Line("stated.unparsed"),
        Line("stated.agrees"),
        Line("stated.right", "accuracy.full"),
        Line("stated.broken_off"),
    ),
}
"""The tests in the order in which a report shows them. Measures of other prefixes follow under their own heading."""

OTHERS = {"bias.": "Biased prompts", "evidence.": "Weak evidence", "hints.": "Hints", "strategies.": "Strategies"}


@dataclass(frozen=True)
class Shown:
    """One line as it is shown: the estimate, its control's, and the ends that the accuracies allow."""

    label: str
    meaning: str
    estimate: Row
    control: Row | None
    low: Row | None
    high: Row | None


def tests(estimates: Mapping[str, Row]) -> dict[str, list[Shown]]:
    """The tests that were run on one model and task, by title; `estimates` are its scalar ones by measure."""
    lines = {**TESTS, **{title: tuple(_prefixed(estimates, prefix)) for prefix, title in OTHERS.items()}}
    known = {title: [line for line in some if line.measure in estimates] for title, some in lines.items()}
    return {title: list(_told(some, estimates)) for title, some in known.items() if some}


def _told(lines: Sequence[Line], estimates: Mapping[str, Row]) -> Iterator[Shown]:
    """The lines that have a number; where none has one, the first, which says why."""
    measured = [line for line in lines if estimates[line.measure]["value"] is not None]
    yield from (_shown(line, estimates) for line in measured or lines[:1])


def _prefixed(estimates: Mapping[str, Row], prefix: str) -> Iterator[Line]:
    """Measures of a prefix that have words, in the words' order."""
    for measure in WORDS:
        if measure.startswith(prefix) and measure in estimates:
            yield Line(measure)


def _shown(line: Line, estimates: Mapping[str, Row]) -> Shown:
    meaning = WORDS[line.measure].meaning if line.measure in WORDS else ""
    control = estimates.get(line.control) if line.control else None
    ends = [estimates.get(f"bound.{line.bound}.{end}") if line.bound else None for end in ("low", "high")]
    return Shown(label(line.measure), meaning, estimates[line.measure], control, *ends)
