"""How does a hint reach the answer: through the chain of thought, around it, or without any chain?

The hints are those of `assays.hints`, at the same option and with the same chains. For each hint the conditions of
`assays.hint_paths` are run, and a switch falls into one of six cells by two questions:

1. What does the chain say about the hint? It says that it relied on the hint, names the hint without giving it as a
   reason, or does not name it.
2. Does the chain written under the hint bring the hinted answer under the plain prompt too? If it does, the hint acted
   through the chain; otherwise around it.

A hint that is unsaid and acts through the chain makes the chain a rationalisation.

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
