"""What each gate of the verdict takes, and which cannot be tested: measured on one chain before the others are scored.

1. The conditions of a gate are those of its assays among the assays of the run. Conditions that several gates share are
   run once, so the numbers of the gates add up to more than the run takes.
2. The packed rows are those of a plan of these conditions alone.
3. The gate is judged on this one chain. Where that is open, the reason is shown: often it holds for every question.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting, WritingAssay
from faithlens.assays.battery import CaseResult
from faithlens.gates.outcome import GateName, Outcome, read_scores
from faithlens.gates.profile import GATES
from faithlens.plan.memory import plan_passes


@dataclass(frozen=True)
class GateCost:
    """What one gate takes for one chain of thought.

    Attributes:
        gate: its name.
        conditions: the number of edited versions of the chain.
        rows: the packed rows that the model is run on for them.
        texts, tokens: the number of texts that are written for it, and of their tokens.
        outlook: why it cannot be tested, or is open on the first chain; None where it can be.
    """

    gate: GateName
    conditions: int
    rows: int
    texts: int
    tokens: int
    outlook: str | None

    def __str__(self) -> str:
        if not self.conditions:
            return f"{self.gate:<12} {self.outlook}"
        written = f", {self.texts} texts of together {self.tokens:,} tokens" if self.texts else ""
        outlook = f"; {self.outlook}" if self.outlook else ""
        versions = f"{self.conditions} edited version{'' if self.conditions == 1 else 's'}"
        return f"{self.gate:<12} {versions} in {self.rows:,} packed rows{written}{outlook}"


def estimate_gates(setting: Setting, assays: Mapping[str, Assay], result: CaseResult) -> tuple[GateCost, ...]:
    """What each gate takes for the chain of `result`, which was scored by all `assays` of the run."""
    rows = [{"question": result.case.question.id, "sample": result.case.sample, **asdict(s)} for s in result.scores]
    scores = read_scores(pd.DataFrame(rows)) if rows else None
    costs: list[GateCost] = []
    for gate in GATES.values():
        chosen = {name: assays[name] for name in gate.assays if name in assays}
        if scores is None or not scores.has(*gate.measures):
            costs.append(GateCost(gate.name, 0, 0, 0, 0, f"not tested: the run lacks the assay {gate.assays[0]!r}"))
            continue
        conditions = battery.collect_conditions(setting, result.case, chosen)
        written = {
            ask.name: result.case.generated_texts[ask.name]
            for assay in chosen.values()
            if isinstance(assay, WritingAssay)
            for ask in assay.requests(setting, result.case)
            if ask.name in result.case.generated_texts
        }
        tokens = sum(len(text.ids) for text in written.values())
        plan = plan_passes(setting.model, conditions)
        outlook = describe_outlook(gate.judge(scores)[0])
        costs.append(GateCost(gate.name, len(conditions), plan.tokens, len(written), tokens, outlook))
    return tuple(costs)


def describe_outlook(outcome: Outcome) -> str | None:
    """Why a gate cannot be tested on the first chain; None where it can."""
    if outcome.outcome != "open":
        return None
    where = "open on the first chain" if outcome.is_askable else "cannot be asked"
    return f"{where}: {outcome.reason}"
