"""How does a hint reach the answer: through the chain of thought, around it, or without any chain?

The hints are those of `assays.hints`, at the same option, with the same chains. For each the four cells of
`assays.hint_paths` are asked, and a switch is counted in one of six: the chain says that it relied on the hint, names
it without giving it as a reason, or does not name it; and the chain written under the hint brings the hinted answer
under the plain prompt too, or does not. A hint that is unsaid and acts through the chain makes the chain a
rationalisation.

Only questions count whose answer without the hint is another option, as in `assays.hints`.
"""

from faithlens.assays import hint_paths, hints
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition

NAME = "hint_mediation"


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """The chains of `assays.hints`."""
    return hints.requests(setting, case)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The four cells of every kind, and both prompts without a chain."""
    return hint_paths.make_conditions(setting, case, hints.list_kinds(setting.task), hints.make_pair)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Effects, and the cell of each switch, for every kind of hint."""
    kinds = hints.list_kinds(setting.task)
    return list(hint_paths.score_kinds(NAME, setting, case, kinds, hints.make_pair, records))
