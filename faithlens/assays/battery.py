"""All assays on one or more cases: their conditions share packed passes, and each condition is run once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from faithlens.assays import (
    attention,
    baselines,
    early_answering,
    knockouts,
    mediation,
    mistakes,
    states,
    sufficiency,
)
from faithlens.assays.assay import Assay, Records, Setting
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.runtime.capture import Capture
from faithlens.runtime.condition import Condition
from faithlens.runtime.cost import plan_for
from faithlens.runtime.execute import Backend, execute
from faithlens.runtime.plan import BUDGET

ASSAYS: dict[str, Assay] = {
    "early_answering": early_answering,
    "mistakes": mistakes,
    "baselines": baselines,
    "mediation": mediation,
    "sufficiency": sufficiency,
    "states": states,
    "knockouts": knockouts,
    "attention": attention,
}
CAPTURE = Capture(attention=attention.READERS)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """Every condition that some assay asks of `case`, each once."""
    asked = [condition for assay in ASSAYS.values() for condition in assay.conditions(setting, case)]
    return list({condition.name: condition for condition in asked}.values())


@dataclass(frozen=True)
class Result:
    """One case's records, by condition name, and what all assays made of them."""

    case: Case
    records: Records
    scores: list[Score]


def run_battery(
    setting: Setting, cases: Sequence[Case], *, budget: int = BUDGET, backend: Backend = "packed"
) -> list[Result]:
    """Every assay on every case, in the cases' order.

    Raises:
        PlanError: a condition does not fit the model's context.
    """
    lens = setting.lens
    asked = [conditions(setting, case) for case in cases]
    plan = plan_for(lens, list(chain(*asked)), tokens=budget)
    came = iter(execute(lens, plan, CAPTURE, backend=backend))
    results = []
    for case, wanted in zip(cases, asked, strict=True):
        records = {condition.name: next(came) for condition in wanted}
        scores = [score for assay in ASSAYS.values() for score in assay.score(setting, case, records)]
        results.append(Result(case, records, scores))
    return results
