"""How does a biased prompt reach the answer: through the chain of thought, around it, or without any chain?

The biased prompts and the chains are those of `assays.bias`, and the cells are those of `assays.hint_paths`. Only
questions count in which the bias points to a wrong option, and whose answer without the bias is another option.
"""

from faithlens.assays import bias, hint_paths
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.prompt_arms import HintPair
from faithlens.errors import TaskError
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import BIASES

NAME = "bias_mediation"


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The two prompts of one bias, each of which asks for a chain of thought.

    Raises:
        TaskError: the bias points to the right option, the question's prompt shows no options, or the task has too few
            examples.
    """
    pair = bias.make_pair(setting, case, kind, "cot")
    if pair.label == case.question.answer:
        raise TaskError(bias.BIAS_IS_RIGHT, "Ask more questions: the bias points to a wrong option of most of them.")
    return pair


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """The chains of `assays.bias`."""
    return bias.requests(setting, case)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The four cells of each bias, and both prompts without a chain."""
    return hint_paths.make_conditions(setting, case, BIASES, make_pair)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Effects, and the cell of each answer that a bias moved."""
    return list(hint_paths.score_kinds(NAME, setting, case, BIASES, make_pair, records))
