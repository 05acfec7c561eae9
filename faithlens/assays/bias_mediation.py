"""How does a biased prompt reach the answer: through the chain of thought, around it, or without any chain?

The biased prompts are those of `assays.bias`, with the same chains, and the cells are those of `assays.hint_paths`.
Only questions count in which the bias points to a wrong option, and whose answer without it is another option.
"""

from collections.abc import Iterator
from contextlib import suppress

from faithlens.assays import bias, hint_paths
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.hint_paths import HintPair
from faithlens.errors import FaithlensError
from faithlens.interventions.case import Case
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import BIASES

NAME = "bias_mediation"


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The two prompts of one bias, each of which asks for a chain of thought.

    Raises:
        TaskError: the question's prompt shows no options, or the task has too few examples.
    """
    of = bias.make_pair(setting, case, kind, "cot")
    return HintPair(kind, of.label, of.biased, of.unbiased)


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """The chains of `assays.bias`."""
    return bias.requests(setting, case)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The four cells of each bias, and both prompts without a chain."""
    pairs = _list_pairs(setting, case)
    return [make_full_cot(case), *(c for pair in pairs for c in hint_paths.make_conditions(setting, case, pair))]


def _list_pairs(setting: Setting, case: Case) -> Iterator[HintPair]:
    for kind in BIASES:
        with suppress(FaithlensError):
            yield make_pair(setting, case, kind)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Effects, and the cell of each answer that a bias moved."""
    by_kind = {kind: score_kind(setting, case, kind, records) for kind in BIASES}
    return list(hint_paths.make_scores(NAME, by_kind))


def score_kind(setting: Setting, case: Case, kind: str, records: Records) -> tuple[str, dict[str, float | str] | str]:
    """The condition of one kind, and its values or the reason why it could not be asked."""
    try:
        pair = make_pair(setting, case, kind)
        if pair.label == case.question.answer:
            return pair.hinted.name, bias.BIAS_IS_RIGHT
        return pair.hinted.name, hint_paths.score_pair(setting, case, pair, records)
    except FaithlensError as error:
        return "full", error.problem
