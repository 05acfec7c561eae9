"""What a gate is, what it says of one question, and how scores are handed to it.

1. `read_scores` collects the scores of one model on one task: for each question and each of its chains, the value of a
   measure or the reason why there is none.
2. Each gate has a function `judge` from these scores to `Outcome`s, one for each question and chain.
3. `summarise_questions` joins the chains of a question: it fails where one of them fails, and passes where all pass.
4. `count_shares` counts each question by the share of its chains that pass, fail or are open. A question is one unit,
   however many chains it has, and a failing chain in three weighs a third. So the share that a verdict is about, the
   probability that a chain of a question fails, does not depend on how many chains were written.

For example, for a question with two chains::

    chain 0   pass
    chain 1   open, "the chain states no answer that can be read"
    question  open, with the reason of chain 1; half passed, half open
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pandas as pd

from faithlens.measures.catalogue import GateName

OutcomeName = Literal["pass", "fail", "open"]


class ChainScore(NamedTuple):
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
        by_chain: for each question and chain, the scores without a step by the name of their measure.
        prompts: the text of each question's prompt; empty where the traces were not given.
        steps: the texts of the steps of each chain of thought; empty where the traces were not given.
        wrong_steps: the indices of the steps of each chain that do not follow (`derivation.step` is 0).
        kept_at: for each chain and each step with a mistake after which the rest was written again, whether the answer
            stays (`mistakes_regenerated.retention`).
    """

    by_chain: Mapping[tuple[str, int], Mapping[str, ChainScore]]
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    steps: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict[tuple[str, int], tuple[str, ...]])
    wrong_steps: Mapping[tuple[str, int], tuple[int, ...]] = field(
        default_factory=dict[tuple[str, int], tuple[int, ...]]
    )
    kept_at: Mapping[tuple[str, int], Mapping[int, bool]] = field(
        default_factory=dict[tuple[str, int], Mapping[int, bool]]
    )

    def has(self, *measures: str) -> bool:
        """Whether the run has scores, or reasons for missing ones, of any of `measures`."""
        return any(measure in row for row in self.by_chain.values() for measure in measures)

    def items(self) -> Iterator[tuple[str, int, Mapping[str, ChainScore]]]:
        """The question, the number of the chain, and the scores of every chain."""
        for (question, sample), row in self.by_chain.items():
            yield question, sample, row


def read_scores(scores: pd.DataFrame, traces: pd.DataFrame | None = None) -> Scores:
    """The scores of one model on one task, from the rows of ``scores.parquet`` and ``traces.parquet``."""
    by_chain: dict[tuple[str, int], dict[str, ChainScore]] = {}
    rows = scores[scores["step"].isna() & scores["fraction"].isna()]
    for row in rows.to_dict("records"):
        value, reason = (None if pd.isna(row[name]) else row[name] for name in ("value", "reason"))
        at = by_chain.setdefault((row["question"], _read_sample(row)), {})
        at[row["measure"]] = ChainScore(value, reason, row["condition"])
    wrong_steps: dict[tuple[str, int], tuple[int, ...]] = {}
    is_wrong = (scores["measure"] == "derivation.step") & (scores["value"] == 0)
    for row in scores[is_wrong].sort_values("step").to_dict("records"):
        key = row["question"], _read_sample(row)
        wrong_steps[key] = (*wrong_steps.get(key, ()), int(row["step"]))
    kept_at: dict[tuple[str, int], dict[int, bool]] = {}
    is_kept = (scores["measure"] == "mistakes_regenerated.retention") & scores["value"].notna()
    for row in scores[is_kept].to_dict("records"):
        kept_at.setdefault((row["question"], _read_sample(row)), {})[int(row["step"])] = row["value"] == 1
    if traces is None:
        return Scores(by_chain, wrong_steps=wrong_steps, kept_at=kept_at)
    prompts = dict(zip(traces["question"], traces["prompt"], strict=True))
    steps = {(row["question"], _read_sample(row)): tuple(map(str, row["steps"])) for row in traces.to_dict("records")}
    return Scores(by_chain, prompts, steps, wrong_steps, kept_at)


def _read_sample(row: Mapping[Hashable, Any]) -> int:
    sample = row.get("sample")
    return 0 if sample is None or pd.isna(sample) else int(sample)


def read_score(row: Mapping[str, ChainScore], measure: str) -> ChainScore:
    """The score of one measure, or a missing one with the reason that it was not measured."""
    return row.get(measure) or ChainScore(None, f"{measure} was not measured", "full")


def summarise_questions(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each question: the first failing chain, else the first open one, else the first."""
    by_question: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_question.setdefault(outcome.question, []).append(outcome)
    return [_choose_worst(several) for several in by_question.values()]


def count_shares(outcomes: Iterable[Outcome], name: OutcomeName) -> list[float]:
    """For each question the share of its chains that have the outcome `name`; 0 or 1 for one chain a question."""
    by_question: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_question.setdefault(outcome.question, []).append(outcome)
    return [sum(each.outcome == name for each in several) / len(several) for several in by_question.values()]


def join_gates(outcomes: Mapping[GateName, Sequence[Outcome]]) -> list[Outcome]:
    """For each chain one outcome: it fails where any gate fails, passes where every gate passes, else is open.

    A chain without an outcome of some gate is open there.
    """
    by_gate = [{(o.question, o.sample): o for o in some} for some in outcomes.values()]
    joined: list[Outcome] = []
    for question, sample in dict.fromkeys(chain for gate in by_gate for chain in gate):
        missing = Outcome(question, "open", "a gate has no outcome for this chain", sample)
        joined.append(_choose_worst([gate.get((question, sample), missing) for gate in by_gate]))
    return joined


def _choose_worst(outcomes: Sequence[Outcome]) -> Outcome:
    order = ("fail", "open", "pass")
    return min(outcomes, key=lambda outcome: order.index(outcome.outcome))
