"""Run several assays on several cases together.

1. The texts that assays request are written (`text_generation`).
2. Every assay lists its conditions. Conditions of one case with the same name are the same and are run once.
3. All conditions of all cases are planned together and run in packed passes.
4. Every assay makes its scores from the records of each case.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from itertools import chain

from faithlens.assays import (
    attention,
    baselines,
    bias,
    bias_mediation,
    claims,
    deletion,
    derivation,
    early_answering,
    early_answering_filled,
    evidence,
    filler,
    graded_hints,
    hint_mediation,
    hints,
    knockouts,
    letters,
    mediation,
    mistakes,
    mistakes_regenerated,
    paraphrase,
    propagation,
    resampling,
    reversed_pairs,
    rewording,
    shuffle,
    stated,
    states,
    strategies,
    sufficiency,
    value_hints,
)
from faithlens.assays.assay import Assay, EditingAssay, Records, Setting, StepEdit
from faithlens.assays.left_out import leave_out
from faithlens.assays.text_generation import generate_texts
from faithlens.errors import ConfigError, MeasureError, check_choice, check_elements
from faithlens.execution.options import BACKENDS, Backend
from faithlens.execution.work import Work, execute_with_work
from faithlens.interventions.case import Case
from faithlens.measures.catalogue import ASSAY_ENTRY_POINTS, SUITES, check_assay_name, get_measure
from faithlens.measures.score import Score
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from faithlens.tasks.plugins import import_object, load_installed

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
    "resampling": resampling,
    "baselines": baselines,
    "letters": letters,
    "stated": stated,
    "derivation": derivation,
    "rewording": rewording,
    "bias": bias,
    "bias_mediation": bias_mediation,
    "evidence": evidence,
    "reversed_pairs": reversed_pairs,
    "hints": hints,
    "hint_mediation": hint_mediation,
    "value_hints": value_hints,
    "graded_hints": graded_hints,
    "mediation": mediation,
    "claims": claims,
    "sufficiency": sufficiency,
    "states": states,
    "knockouts": knockouts,
    "attention": attention,
    "strategies": strategies,
}
"""The assays of faithlens by name, in the order of a report."""

UNKNOWN_ANSWER = "the right answer is not known"


def get_suite(name: str) -> tuple[str, ...]:
    """The names of the assays in a suite.

    Args:
        name: "standard", "internal" or "all".

    Returns:
        The names, in the order in which the assays run.

    Raises:
        ConfigError: there is no such suite.
    """
    check_choice(name, SUITES, "suite")
    return SUITES[name]


def find_assay(assay: str | Assay) -> Assay:
    """The assay that `assay` names.

    Args:
        assay: the name of an assay of faithlens or of an installed package (entry point group `faithlens.assays`), a
            place as ``package.module:Class`` or ``package.module:object``, or the assay itself.

    Raises:
        ConfigError: there is no such assay, or what was found has no `conditions` and `score`.
    """
    candidate = assay
    if isinstance(assay, str):
        check_assay_name(assay)
        installed = {point.name: point for point in entry_points(group=ASSAY_ENTRY_POINTS)}
        if assay in ASSAYS:
            candidate = ASSAYS[assay]
        elif assay in installed:
            candidate = load_installed(installed[assay], "assay", ConfigError)
        else:
            candidate = import_object(assay, "assay", ConfigError)
    if isinstance(candidate, type):
        candidate = candidate()
    if not isinstance(candidate, Assay):
        raise ConfigError(
            f"{assay!r} is no assay: an assay has the functions `conditions` and `score`",
            "Write both, as the docstring of faithlens.assays.assay.Assay describes them.",
        )
    return candidate


def name_assay(assay: Assay) -> str:
    """The name of an assay: its name in `ASSAYS`, else its attribute `name`, else the name of its class or module."""
    known = next((name for name, each in ASSAYS.items() if each is assay), None)
    own = getattr(assay, "name", None) or getattr(assay, "__name__", type(assay).__name__)
    return known or str(own).rpartition(".")[2]


def needs_counterfactuals(assays: Iterable[str | Assay]) -> bool:
    """Whether one of `assays` reads the counterfactual question's chain of thought, which must then be sampled too.

    Raises:
        ConfigError: there is no such assay.
    """
    return any(getattr(find_assay(assay), "READS_COUNTERFACTUAL", False) for assay in assays)


def select_assays(assays: Iterable[str | Assay]) -> dict[str, Assay]:
    """The assays by name: those of faithlens in the order of a report, then your own in the order given.

    Args:
        assays: names or assays, as `find_assay` takes them.

    Raises:
        ConfigError: there is no such assay, or two different assays have one name.
    """
    chosen: dict[str, Assay] = {}
    for assay in assays:
        chosen_assay = find_assay(assay)
        name = assay if isinstance(assay, str) else name_assay(chosen_assay)
        if chosen.setdefault(name, chosen_assay) is not chosen_assay and not isinstance(assay, str):
            raise ConfigError(f"two assays are named {name!r}", "Give one of them an attribute `name` of its own.")
    order = [*(name for name in ASSAYS if name in chosen), *(name for name in chosen if name not in ASSAYS)]
    return {name: chosen[name] for name in order}


def collect_conditions(setting: Setting, case: Case, assays: Mapping[str, Assay]) -> list[Condition]:
    """Every condition that an assay needs of `case`, each name once."""
    needed = list[Condition]()
    for name, assay in assays.items():
        conditions = assay.conditions(setting, case)
        fix = "Write a list, also for one: return [condition]."
        check_elements(conditions, Condition, f"what `conditions` of the assay {name} returns", fix, MeasureError)
        needed += conditions
    return list({condition.name: condition for condition in needed}.values())


def make_capture(assays: Mapping[str, Assay]) -> Capture:
    """What the assays read in addition to answers: the attention of the readers in their `READERS`."""
    readers = chain.from_iterable(getattr(assay, "READERS", ()) for assay in assays.values())
    return Capture(attention=tuple(dict.fromkeys(readers)))


@dataclass(frozen=True)
class CaseResult:
    """The results of one case.

    Attributes:
        case: the case, with the texts that were written for it.
        records: the record of every condition, by the condition's name.
        scores: the scores of all assays.
        edits: the edits of words that assays tried.
    """

    case: Case
    records: Records
    scores: list[Score]
    edits: list[StepEdit]


def run_battery(
    setting: Setting,
    cases: Sequence[Case],
    assays: Sequence[str | Assay] = SUITES["standard"],
    *,
    budget: int | None = None,
    backend: Backend = "packed",
    notify: Callable[[int], None] = lambda tokens: None,
    keep_work: Callable[[Work], None] = lambda work: None,
) -> list[CaseResult]:
    """Run assays on cases.

    Args:
        setting: the model, the task, and how texts are written.
        cases: cases with a stem, as `make_cases` returns them.
        assays: names or assays, as `find_assay` takes them.
        budget: the most packed rows in a pass; None for as many as fit in memory.
        backend: "packed", or "separate" for the reference that runs each condition by itself.
        notify: is called with the number of tokens as texts are written.
        keep_work: is called with what the packed passes took.

    Returns:
        One result for each case, in their order.

    Raises:
        ConfigError: there is no such assay or backend.
        PlanError: a condition does not fit the model's context.
    """
    check_choice(backend, BACKENDS, "backend")
    chosen = leave_out(select_assays(assays), setting.model)
    cases = generate_texts(setting, cases, chosen.values(), notify)
    by_case = [collect_conditions(setting, case, chosen) for case in cases]
    capture = make_capture(chosen)
    plan = plan_passes(setting.model, list(chain(*by_case)), capture, budget=budget)
    ran, work = execute_with_work(setting.model, plan, capture, backend=backend)
    keep_work(work)
    records = iter(ran)
    return [
        score_case(setting, case, {condition.name: next(records) for condition in conditions}, chosen)
        for case, conditions in zip(cases, by_case, strict=True)
    ]


def score_case(setting: Setting, case: Case, records: Records, assays: Mapping[str, Assay]) -> CaseResult:
    """The scores and edits of all assays for one case."""
    scores = list[Score]()
    for name, assay in assays.items():
        own = assay.score(setting, case, records)
        fix = "Write a list, also for one: return [fl.assays.Score(measure, value)]."
        check_elements(own, Score, f"what `score` of the assay {name} returns", fix, MeasureError)
        # those of faithlens may name a hinted prompt whose chain was cut off: eligibility is known without it
        for score in (each for each in own if each.value is not None and name not in ASSAYS):
            check_choice(score.condition, {*records, "full"}, f"condition of a score of the assay {name}", MeasureError)
        scores += own
    if not case.question.answer:
        scores = [_leave_out_value(score) for score in scores]
    return CaseResult(case, records, scores, list(collect_edits(setting, case, records, assays)))


def _leave_out_value(score: Score) -> Score:
    """The score of a chain whose right answer nobody knows: without a value if it compares with that."""
    if not get_measure(score.measure).needs_right_answer:
        return score
    return replace(score, value=None, reason=UNKNOWN_ANSWER)


def collect_edits(setting: Setting, case: Case, records: Records, assays: Mapping[str, Assay]) -> Iterator[StepEdit]:
    """Every edit of words that an assay tried."""
    for assay in assays.values():
        if isinstance(assay, EditingAssay):
            yield from assay.edits(setting, case, records)
