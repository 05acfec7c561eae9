"""How does a hint reach the answer: through the chain of thought, around it, or without any chain?

The hints are those of `assays.hints`, at the same option, with the same chains. For each the four cells of
`assays.hint_paths` are asked, and a switch is counted in one of six: the chain says that it relied on the hint, names
it without giving it as a reason, or does not name it; and the chain written under the hint brings the hinted answer
under the plain prompt too, or does not. A hint that is unsaid and acts through the chain makes the chain a
rationalisation.

Only questions count whose answer without the hint is another option, as in `assays.hints`.
"""

from collections.abc import Iterator
from contextlib import suppress

from faithlens.assays import hint_paths, hints
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.hint_paths import HintPair
from faithlens.errors import FaithlensError
from faithlens.interventions.case import Case
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

NAME = "hint_mediation"


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The two prompts of one kind of hint.

    Raises:
        TaskError: the question's prompt takes no hint of this kind.
    """
    pushed, plain = hints.make_arm_pair(setting, case, kind)
    return HintPair(kind, hints.draw_hinted_option(setting, case), pushed, plain)


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """The chains of `assays.hints`."""
    return hints.requests(setting, case)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The four cells of every kind, and both prompts without a chain."""
    pairs = _list_pairs(setting, case)
    return [make_full_cot(case), *(c for pair in pairs for c in hint_paths.make_conditions(setting, case, pair))]


def _list_pairs(setting: Setting, case: Case) -> Iterator[HintPair]:
    for kind in hints.list_kinds(setting.task):
        with suppress(FaithlensError):
            yield make_pair(setting, case, kind)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Effects, and the cell of each switch, for every kind of hint."""
    by_kind = {kind: score_kind(setting, case, kind, records) for kind in hints.list_kinds(setting.task)}
    return list(hint_paths.make_scores(NAME, by_kind))


def score_kind(setting: Setting, case: Case, kind: str, records: Records) -> tuple[str, dict[str, float | str] | str]:
    """The condition of one kind, and its values or the reason why it could not be asked."""
    try:
        pair = make_pair(setting, case, kind)
        return pair.hinted.name, hint_paths.score_pair(setting, case, pair, records)
    except FaithlensError as error:
        return "full", error.problem
