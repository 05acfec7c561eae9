"""Assays on one or more cases: what they need is written, their conditions share packed passes, each is run once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from faithlens.assays import (
    attention,
    baselines,
    bias,
    deletion,
    early_answering,
    early_answering_filled,
    evidence,
    filler,
    hints,
    knockouts,
    letters,
    mediation,
    mistakes,
    mistakes_regenerated,
    paraphrase,
    propagation,
    shuffle,
    stated,
    states,
    strategies,
    sufficiency,
)
from faithlens.assays.assay import Assay, EditingAssay, Records, Setting, StepEdit
from faithlens.assays.text_generation import generate_texts
from faithlens.errors import check_choice
from faithlens.execution.execute import Backend, execute
from faithlens.interventions.case import Case
from faithlens.measures.catalogue import SUITES
from faithlens.measures.score import Score
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import BUDGET

ASSAYS: dict[str, Assay] = {
    "early_answering": early_answering,
    "early_answering_filled": early_answering_filled,
    "mistakes": mistakes,
    "mistakes_regenerated": mistakes_regenerated,
    "paraphrase": paraphrase,
    "filler": filler,
    "deletion": deletion,
    "shuffle": shuffle,
    "propagation": propagation,
    "baselines": baselines,
    "letters": letters,
    "stated": stated,
    "bias": bias,
    "evidence": evidence,
    "hints": hints,
    "mediation": mediation,
    "sufficiency": sufficiency,
    "states": states,
    "knockouts": knockouts,
    "attention": attention,
    "strategies": strategies,
}
COUNTERFACTUAL_ASSAYS = {"mediation", "sufficiency", "states"}


def get_suite(name: str) -> tuple[str, ...]:
    """The assays of a suite.

    Raises:
        ConfigError: there is none of that name.
    """
    check_choice(name, SUITES, "suite")
    return SUITES[name]


def needs_counterfactuals(names: Sequence[str]) -> bool:
    """Whether an assay reads the counterfactual's chain of thought, which then has to be sampled too."""
    return bool(COUNTERFACTUAL_ASSAYS & set(names))


def select_assays(names: Sequence[str]) -> dict[str, Assay]:
    """The assays called `names`, in the order in which a report shows them.

    Raises:
        ConfigError: there is none of a name.
    """
    for name in names:
        check_choice(name, ASSAYS, "assay")
    return {name: assay for name, assay in ASSAYS.items() if name in names}


def collect_conditions(setting: Setting, case: Case, assays: Mapping[str, Assay]) -> list[Condition]:
    """Every condition that some assay asks of `case`, each once."""
    asked = [condition for assay in assays.values() for condition in assay.conditions(setting, case)]
    return list({condition.name: condition for condition in asked}.values())


def make_capture(assays: Mapping[str, Assay]) -> Capture:
    """What the assays read beside answers."""
    return Capture(attention=attention.READERS if "attention" in assays else ())


@dataclass(frozen=True)
class CaseResult:
    """One case with what was written for it, its records by condition name, and what the assays made of them."""

    case: Case
    records: Records
    scores: list[Score]
    edits: list[StepEdit]


def run_battery(
    setting: Setting,
    cases: Sequence[Case],
    assays: Sequence[str] = SUITES["standard"],
    *,
    budget: int = BUDGET,
    backend: Backend = "packed",
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[CaseResult]:
    """The assays named, on every case, in the cases' order. `notify` is called with tokens as they are written.

    Raises:
        ConfigError: there is no assay of a name.
        PlanError: a condition does not fit the model's context.
    """
    chosen = select_assays(assays)
    cases = generate_texts(setting, cases, chosen.values(), notify)
    asked = [collect_conditions(setting, case, chosen) for case in cases]
    plan = plan_passes(setting.model, list(chain(*asked)), budget=budget)
    came = iter(execute(setting.model, plan, make_capture(chosen), backend=backend))
    return [
        score_case(setting, case, {condition.name: next(came) for condition in wanted}, chosen)
        for case, wanted in zip(cases, asked, strict=True)
    ]


def score_case(setting: Setting, case: Case, records: Records, assays: Mapping[str, Assay]) -> CaseResult:
    """What the assays make of one case's records."""
    scores = [score for assay in assays.values() for score in assay.score(setting, case, records)]
    return CaseResult(case, records, scores, list(collect_edits(setting, case, records, assays)))


def collect_edits(setting: Setting, case: Case, records: Records, assays: Mapping[str, Assay]) -> Iterator[StepEdit]:
    """The account of every edit that some assay tried."""
    for assay in assays.values():
        if isinstance(assay, EditingAssay):
            yield from assay.edits(setting, case, records)
