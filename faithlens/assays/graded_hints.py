"""Do hints at an option move answers, and does the chain of thought say so the more, the more must be worked out?

One hint in three grades (`tasks.value_hints`): the option is named, is the neighbour of a named one, or has a number
that must be calculated. What switches an answer is read as in `assays.value_hints`, which asks free-form questions.

There is no value, but a reason, for free-form questions, and for prompts that show no options.
"""

from collections.abc import Iterator

from faithlens.assays import hint_paths, hints, prompt_arms
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.prompt_arms import HintPair, list_pairs, make_own_prompt
from faithlens.assays.value_hints import MEASURES, add_hint
from faithlens.errors import TaskError
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import GRADED_HINTS

NAME = "graded_hints"
NO_OPTIONS = "the question has no options: the assay `value_hints` points to a value"


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The prompt with one grade of the hint; its counterpart is the question's own.

    Raises:
        TaskError: the question is free-form, or its prompt shows no options.
    """
    if case.question.form != "choice":
        raise TaskError(NO_OPTIONS, "Ask the assay value_hints.")
    return add_hint(setting, case, kind, make_own_prompt(setting, case, "cot"), "graded")


def list_hint_pairs(setting: Setting, case: Case) -> Iterator[HintPair]:
    """The prompts with hints that the question takes."""
    return list_pairs(setting, case, GRADED_HINTS, make_pair)


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """A chain of thought for each grade."""
    return prompt_arms.request_chains(setting, case, [pair.hinted for pair in list_hint_pairs(setting, case)])


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The question's own chain, and the four cells of each grade."""
    return hint_paths.make_conditions(setting, case, GRADED_HINTS, make_pair)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Switches, what the chains say of them, and the way that each hint took."""
    out: list[Score] = []
    for kind in GRADED_HINTS:
        out += hints.score_kind(NAME, MEASURES, setting, case, kind, make_pair, records)
    return [*out, *hint_paths.score_kinds(NAME, setting, case, GRADED_HINTS, make_pair, records)]
