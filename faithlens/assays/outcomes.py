"""What a model did after an edited step: it follows the edit, repairs it in words, ignores it, or the edit is harmless.

The outcomes differ in what they say about a chain of thought. A model that repairs a mistake has read it; one that
ignores it may not have; and a mistake from which the same answer follows says nothing.
"""

from contextlib import suppress
from dataclasses import replace

from faithlens.assays.assay import Outcome, Records, Setting, StepEdit
from faithlens.errors import TraceError
from faithlens.interventions.case import Case
from faithlens.measures.answers import choose_option
from faithlens.plan.condition import Condition
from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.candidates import read_stated_value
from faithlens.tasks.question import ExecutableTask, Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import is_same_answer
from faithlens.thoughts import Finish


def infer_implied_answer(setting: Setting, case: Case, edit: StepEdit) -> str | None:
    """The answer that follows from the edited step, if the task can compute it; a label if there are options."""
    if edit.invalid is not None or not isinstance(setting.task, ExecutableTask):
        return None
    follows = setting.task.infer_answer(case.question, edit.before, edit.after)
    return case.find_candidate(follows) or follows


def add_outcome(setting: Setting, case: Case, records: Records, edit: StepEdit) -> StepEdit:
    """The edit, with the answer that follows from it, the answer that was given, and the outcome."""
    if edit.condition not in records:
        return edit
    clean = case.candidates[choose_option(records["full"].logprobs)]
    follows = infer_implied_answer(setting, case, edit)
    answer = (*case.candidates, follows or "")[choose_option(records[edit.condition].logprobs)]
    mended = is_repaired(edit, case.question, clean)
    return replace(edit, implied=follows, answer=answer, outcome=name_outcome(clean, answer, follows, mended))


def add_implied_option(setting: Setting, case: Case, edit: StepEdit, condition: Condition) -> Condition:
    """The condition, with the answer that follows from the edit among its options."""
    follows = infer_implied_answer(setting, case, edit)
    if follows is not None:
        with suppress(TraceError):  # a model cannot give an answer that its tokenizer cannot write
            return case.add_option(setting.model, condition, follows)
    return condition


def name_outcome(clean: str, answer: str, implied_answer: str | None, has_repaired: bool) -> Outcome:
    """The outcome, from the answers before and after the edit and the answer that follows from it."""
    if implied_answer == clean:
        return "harmless"
    if answer == clean:
        return "repairs" if has_repaired else "ignores"
    return "follows" if answer == implied_answer else "other"


def is_repaired(edit: StepEdit, question: Question, clean: str) -> bool:
    """Whether the words after a mistake return to the answer before it."""
    return is_same_answer(find_conclusion(edit.tail, question), clean)


def find_conclusion(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The answer that a text states, else the value that its last step states; a label if there are options.

    Of a text that was cut off only an answer that it states counts: its last value may be on the way to one.
    """
    stated = parse_answer(text, question, finish)
    if stated is not None or finish == "length":
        return stated
    stated = [read_stated_value(text[start:stop], question.decimal_mark) for start, stop in split_steps(text)]
    last = next((str(value) for value in reversed(stated) if value is not None), None)
    options = zip(question.choices, question.candidates, strict=False)
    return next((label for content, label in options if is_same_answer(content, last)), last)
