"""Do hints move answers, and does the chain of thought say so the more, the more of the hint must be worked out?

One hint in three grades (`tasks.value_hints`). Of a free-form question the value is stated, follows in one step, or in
several; of a question with options, the option is named, is the neighbour of a named one, or has a number that must be
calculated. What switches an answer is read as in `assays.value_hints`.

There is no value, but a reason, for questions without a wrong value, prompts that do not show the options, and values
that are no whole numbers, where the hint needs a calculation.
"""

from collections.abc import Iterator

from faithlens.assays import hint_paths, hints, prompt_arms
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.prompt_arms import HintPair, list_pairs, make_own_prompt
from faithlens.assays.value_hints import MEASURES, add_hint
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import GRADED_HINTS

NAME = "graded_hints"


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The prompt with one grade of the hint; its counterpart is the question's own.

    Raises:
        TaskError: the question takes no hint of this grade, or its prompt does not show its options.
    """
    is_choice = case.question.form == "choice"
    own = make_own_prompt(setting, case, "cot") if is_choice else setting.task.make_prompt(case.question, "cot")
    return add_hint(setting, case, kind, own, "graded")


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
