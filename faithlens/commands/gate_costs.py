"""What each gate of the verdict takes, and which cannot be tested: measured on one chain before the others are scored.

1. The conditions of a gate are those of its assays among the assays of the run. Conditions that several gates share are
   run once, so the conditions and rows of the gates add up to more than the run takes.
2. The rows are those that the backend runs for these conditions alone.
3. The seconds are parts of the estimate for the whole run, and add up to it. The time of the packed passes is divided
   in proportion to these rows. The time of writing is divided in proportion to the characters of the texts, and a text
   that several gates need is divided equally among them. What no gate needs has a part of its own, and so have the
   chains of thought themselves.
4. The gate is judged on this one chain. Where that is open, the reason is shown: often it holds for every question.

For example, a run that takes 10 s for its chains of thought, 12 s for passes and 4 s for texts, with two gates::

    causal               300 rows               12 s * 300 / 400          =  9.0 s
    serial                50 rows, all texts    12 s *  50 / 400 + 4 s    =  5.5 s
    no gate               50 rows               12 s *  50 / 400          =  1.5 s
    chains of thought                                                       10.0 s
                                                                    total = 26.0 s
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting, WritingAssay
from faithlens.assays.battery import CaseResult
from faithlens.execution.execute import count_rows
from faithlens.execution.options import Backend
from faithlens.gates.outcome import GateName, Outcome, read_scores
from faithlens.gates.profile import GATES
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes


@dataclass(frozen=True)
class RunSeconds:
    """The seconds that a run is expected to take.

    Attributes:
        chains: writing the chains of thought.
        texts: writing the texts that assays request.
        passes: the packed passes of all edited versions, and scoring them.
    """

    chains: float
    texts: float
    passes: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.chains + self.texts + self.passes


@dataclass(frozen=True)
class GateCost:
    """What one gate takes for one chain of thought, and its part of the time of the whole run.

    Attributes:
        gate: its name.
        conditions: the number of edited versions of the chain.
        rows: the rows that the model is run on for them: packed, from forked states, or condition by condition.
        texts, tokens: the number of texts that are written for it, and of their tokens.
        seconds: its part of the seconds of the whole run.
        outlook: why it cannot be tested, or is open on the first chain; None where it can be.
    """

    gate: GateName
    conditions: int
    rows: int
    texts: int
    tokens: int
    seconds: float
    outlook: str | None

    def __str__(self) -> str:
        if not self.conditions:
            return f"{self.gate:<12} {self.outlook}"
        written = describe_texts(self.texts, self.tokens)
        outlook = f"; {self.outlook}" if self.outlook else ""
        versions = f"{self.conditions} edited version{'' if self.conditions == 1 else 's'}"
        time = f"about {format_duration(self.seconds)}"
        return f"{self.gate:<12} {time}: {versions} in {self.rows:,} rows{written}{outlook}"


def describe_texts(texts: int, tokens: int) -> str:
    """The end of a sentence that says how many texts are written; empty where none is."""
    return f", {texts} text{'' if texts == 1 else 's'} to write ({tokens:,} tokens)" if texts else ""


@dataclass(frozen=True)
class GateNeed:
    """What some assays need of one chain: edited versions, the rows of these alone, and texts by name."""

    conditions: Sequence[Condition]
    rows: int
    texts: Sequence[str]


def estimate_gates(
    setting: Setting, assays: Mapping[str, Assay], result: CaseResult, seconds: RunSeconds, backend: Backend
) -> tuple[tuple[GateCost, ...], float]:
    """What each gate takes, and the seconds of what no gate needs.

    Args:
        setting: the model and the task.
        assays: all assays of the run.
        result: what they gave for one chain.
        seconds: what the whole run is expected to take.
        backend: what runs them.
    """
    rows = [{"question": result.case.question.id, "sample": result.case.sample, **asdict(s)} for s in result.scores]
    scores = read_scores(pd.DataFrame(rows)) if rows else None
    tested = [gate for gate in GATES.values() if scores is not None and scores.has(*gate.measures)]
    needs = {
        gate.name: find_need(setting, {name: assays[name] for name in gate.assays if name in assays}, result, backend)
        for gate in tested
    }
    rest = find_need(setting, assays, result, backend, needs.values())
    written = result.case.generated_texts
    lengths = {name: len(text.text) for name, text in written.items()}
    *parts, unneeded = divide_seconds(seconds, [*needs.values(), rest], lengths)
    by_gate = dict(zip(needs, parts, strict=True))
    costs: list[GateCost] = []
    for gate in GATES.values():
        if scores is None or gate.name not in needs:
            outlook = f"not tested: the run lacks the assay {gate.assays[0]!r}"
            costs.append(GateCost(gate.name, 0, 0, 0, 0, 0.0, outlook))
            continue
        need, tokens = needs[gate.name], sum(len(written[name].ids) for name in needs[gate.name].texts)
        outlook = describe_outlook(gate.judge(scores)[0])
        costs.append(
            GateCost(
                gate.name, len(need.conditions), need.rows, len(need.texts), tokens, by_gate[gate.name], outlook
            )
        )  # fmt: skip
    return tuple(costs), unneeded


def find_need(
    setting: Setting,
    assays: Mapping[str, Assay],
    result: CaseResult,
    backend: Backend,
    others: Collection[GateNeed] = (),
) -> GateNeed:
    """What `assays` need of the chain of `result`, without what `others` need too."""
    has = {condition.name for other in others for condition in other.conditions}
    conditions = [one for one in battery.collect_conditions(setting, result.case, assays) if one.name not in has]
    writing = [assay for assay in assays.values() if isinstance(assay, WritingAssay)]
    requested = {request.name for assay in writing for request in assay.requests(setting, result.case)}
    requested -= {name for other in others for name in other.texts}
    texts = [name for name in result.case.generated_texts if name in requested]
    plan, capture = plan_passes(setting.model, conditions), battery.make_capture(assays)
    return GateNeed(conditions, count_rows(setting.model, plan, capture, backend), texts)


def divide_seconds(seconds: RunSeconds, needs: Sequence[GateNeed], lengths: Mapping[str, int]) -> list[float]:
    """The part of each of `needs` in the seconds of passes and texts; `lengths` are the characters of each text."""
    users = Counter(name for need in needs for name in need.texts)
    characters = [sum((lengths[name] / users[name] for name in need.texts), 0.0) for need in needs]
    passes, texts = divide(seconds.passes, [float(need.rows) for need in needs]), divide(seconds.texts, characters)
    return [one + other for one, other in zip(passes, texts, strict=True)]


def divide(whole: float, weights: Sequence[float]) -> list[float]:
    """`whole` in parts in proportion to `weights`; if all are 0, the last part is the whole."""
    total = sum(weights)
    return [whole * weight / total for weight in weights] if total else [*(0.0 for _ in weights[1:]), whole]


def format_duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def describe_outlook(outcome: Outcome) -> str | None:
    """Why a gate cannot be tested on the first chain; None where it can."""
    if outcome.outcome != "open":
        return None
    where = "open on the first chain" if outcome.is_askable else "cannot be asked"
    return f"{where}: {outcome.reason}"
