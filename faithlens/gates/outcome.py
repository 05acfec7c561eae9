"""What a gate is, what it says of one question, and how scores are handed to it.

1. `read_scores` collects the scores of one model on one task: for each question and each of its chains, the value of a
   measure or the reason why there is none.
2. Each gate has a function `judge` from these scores to `Outcome`s, one for each question and chain.
3. `summarise_questions` joins the chains of a question: it fails where one of them fails, and passes where all pass.

For example, for a question with two chains::

    chain 0   pass
    chain 1   open, "the chain states no answer that can be read"
    question  open, with the reason of chain 1
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pandas as pd

OutcomeName = Literal["pass", "fail", "open"]


class Cell(NamedTuple):
    """One score: its value, or the reason why there is none, and the condition that it was read from."""

    value: float | None
    reason: str | None
    condition: str


@dataclass(frozen=True)
class Outcome:
    """What one gate says of one question, or of one chain of it.

    Attributes:
        question: the question's id.
        outcome: "pass"; "fail"; or "open" where the gate could not be read, which is no evidence for or against.
        reason: why, in one sentence. An open outcome always has one.
        sample: the number of the chain among the question's chains.
        condition: the edited version to look at; "full" for the chain as it was written.
        is_askable: False where nothing can be asked at all, for example a hint in a prompt without options.
    """

    question: str
    outcome: OutcomeName
    reason: str
    sample: int = 0
    condition: str = "full"
    is_askable: bool = True


@dataclass(frozen=True)
class Scores:
    """The scores of one model on one task.

    Attributes:
        cells: for each question and chain, the scores without a step by the name of their measure.
        prompts: the text of each question's prompt; empty where the traces were not given.
    """

    cells: Mapping[tuple[str, int], Mapping[str, Cell]]
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])

    def has(self, *measures: str) -> bool:
        """Whether the run has scores, or reasons for missing ones, of any of `measures`."""
        return any(measure in row for row in self.cells.values() for measure in measures)

    def items(self) -> Iterator[tuple[str, int, Mapping[str, Cell]]]:
        """The question, the number of the chain, and the scores of every chain."""
        for (question, sample), row in self.cells.items():
            yield question, sample, row


def read_scores(scores: pd.DataFrame, traces: pd.DataFrame | None = None) -> Scores:
    """The scores of one model on one task, from the rows of ``scores.parquet`` and ``traces.parquet``."""
    cells: dict[tuple[str, int], dict[str, Cell]] = {}
    rows = scores[scores["step"].isna() & scores["fraction"].isna()]
    for row in rows.to_dict("records"):
        value, reason = (None if pd.isna(row[name]) else row[name] for name in ("value", "reason"))
        sample = row.get("sample")
        at = cells.setdefault((row["question"], 0 if sample is None or pd.isna(sample) else int(sample)), {})
        at[row["measure"]] = Cell(value, reason, row["condition"])
    prompts = {} if traces is None else dict(zip(traces["question"], traces["prompt"], strict=True))
    return Scores(cells, prompts)


def read_cell(row: Mapping[str, Cell], measure: str) -> Cell:
    """The score of one measure, or a missing one with the reason that it was not measured."""
    return row.get(measure) or Cell(None, f"{measure} was not measured", "full")


def summarise_questions(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each question: the first failing chain, else the first open one, else the first."""
    by_question: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_question.setdefault(outcome.question, []).append(outcome)
    return [_choose_worst(several) for several in by_question.values()]


def _choose_worst(outcomes: Sequence[Outcome]) -> Outcome:
    order = ("fail", "open", "pass")
    return min(outcomes, key=lambda outcome: order.index(outcome.outcome))
