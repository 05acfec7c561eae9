"""What each assay takes, measured on one chain of a planted model while the site is built."""

from functools import cache
from typing import NamedTuple

import faithlens as fl
from faithlens.assays import battery
from faithlens.measures.catalogue import ASSAYS

SUBJECTS = dict.fromkeys(("hints", "hint_mediation"), ("O9", "running-sum-hints"))
DEFAULT = ("O5", "running-sum")


class AssayCost(NamedTuple):
    """What one assay takes for one chain of thought.

    Attributes:
        model, task: what was measured.
        steps: the number of steps of the chain.
        conditions: the versions that are run, the unedited one included.
        rows: the packed rows of all versions together.
        clean_rows: the rows of the unedited version alone.
        texts: the texts that the model writes for it, besides the chain.
        reason: why one of its measures cannot be asked there; None where all can.
    """

    model: str
    task: str
    steps: int
    conditions: int
    rows: int
    clean_rows: int
    texts: int
    reason: str | None


@cache
def _load(subject: tuple[str, str]) -> tuple[fl.assays.Setting, fl.Case]:
    model, task = fl.load(subject[0]), fl.load_task(subject[1])
    setting = fl.assays.Setting(model, task, seed=0)
    return setting, fl.make_cases(model, task, task.draw_questions(1, seed=0), seed=0)[0]


@cache
def measure_cost(assay: str) -> AssayCost:
    """The cost of an assay on one chain."""
    subject = SUBJECTS.get(assay, DEFAULT)
    setting, case = _load(subject)
    result = battery.run_battery(setting, [case], [assay])[0]
    conditions = battery.collect_conditions(setting, result.case, battery.select_assays([assay]))
    plan = fl.plan_passes(setting.model, conditions)
    clean = fl.plan_passes(setting.model, [fl.interventions.make_full_cot(case)])
    reason = next((score.reason for score in result.scores if score.reason), None)
    texts = len(result.case.generated_texts)
    return AssayCost(*subject, len(case.trace.steps), len(conditions), plan.tokens, clean.tokens, texts, reason)


def describe_cost(assay: str) -> str:
    """One sentence about the cost of an assay, in Markdown."""
    if assay not in ASSAYS:
        return ""
    cost = measure_cost(assay)
    written = f", and the model writes {cost.texts} texts" if cost.texts else ""
    sentence = (
        f"**Cost.** For one chain of {cost.steps} steps ({cost.model} on `{cost.task}`): {cost.conditions} "
        f"version{'' if cost.conditions == 1 else 's'} in {cost.rows} packed rows, where the chain alone takes "
        f"{cost.clean_rows}{written}."
    )
    return f"{sentence} Not all of it can be asked there: {cost.reason}." if cost.reason else sentence
