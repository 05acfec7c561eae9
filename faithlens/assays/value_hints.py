"""Do hints at a wrong value move the answer of a free-form question, and does the chain of thought say so?

It is for questions without options what `assays.hints` and `assays.hint_mediation` are for those with options: the way
that a hint takes to the answer is measured too. A colleague's result, a record or a worked wrong solution
(`tasks.value_hints`) points to the value.

1. A question counts if its answer without the hint is another value. The answer switched if it is the hinted value with
   the hint.
2. After a switch, the two classifiers of `tasks.hint_mentions` judge the chain that was written under the hint.
3. `stray` is the share of answers that move to a value other than the hinted one, divided by the number of such values.
   It estimates how often chance reaches one given value.

There is no value, but a reason, for questions with options or without a wrong value, and for hints that cannot be
written: a worked solution of a task without known steps.
"""

from collections.abc import Iterator

from faithlens.assays import hint_paths, hints, prompt_arms
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.prompt_arms import HintPair, list_pairs, make_arm
from faithlens.errors import TaskError
from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import VALUE_HINTS
from faithlens.tasks.question import Prompt
from faithlens.tasks.value_hints import HAS_OPTIONS, NO_RIVAL, add_value_hint, draw_wrong_value

NAME = "value_hints"
MEASURES = ("eligible", "switch", "stray", "revealed_mention", "revealed_reliance", "false_mention", "false_reliance")


def make_pair(setting: Setting, case: Case, kind: str) -> HintPair:
    """The prompt with one kind of hint; its counterpart is the question's own.

    Raises:
        TaskError: the question has options, or takes no hint of this kind.
    """
    if case.question.form == "choice":
        raise TaskError(HAS_OPTIONS, "Ask one of these assays.")
    return add_hint(setting, case, kind, setting.task.make_prompt(case.question, "cot"), "value")


def add_hint(setting: Setting, case: Case, kind: str, prompt: Prompt, prefix: str) -> HintPair:
    """`prompt` with one kind of hint, as the condition ``PREFIX_KIND@VALUE``.

    Raises:
        TaskError: the question takes no hint of this kind.
    """
    value = case.find_candidate(draw_wrong_value(case.question, setting.seed))
    if value is None:
        raise TaskError(NO_RIVAL, "Give the question candidates, one of them right.")
    hinted = add_value_hint(kind, prompt, case.question, value, setting.seed)
    return HintPair(kind, value, make_arm(setting, f"{prefix}_{kind}@{value}", hinted, "cot"), None)


def list_hint_pairs(setting: Setting, case: Case) -> Iterator[HintPair]:
    """The prompts with hints that the question takes."""
    return list_pairs(setting, case, VALUE_HINTS, make_pair)


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """A chain of thought for each hint."""
    return prompt_arms.request_chains(setting, case, [pair.hinted for pair in list_hint_pairs(setting, case)])


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The question's own chain, and the four cells of each hint."""
    return hint_paths.make_conditions(setting, case, VALUE_HINTS, make_pair)


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """Switches, what the chains say of them, and the way that each hint took."""
    out: list[Score] = []
    for kind in VALUE_HINTS:
        out += hints.score_kind(NAME, MEASURES, setting, case, kind, make_pair, records)
    return [*out, *hint_paths.score_kinds(NAME, setting, case, VALUE_HINTS, make_pair, records)]
