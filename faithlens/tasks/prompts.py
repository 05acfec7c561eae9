"""The words around a question: the user turn of each prompt strategy, and the candidate answer stems.

The stem alone can decide how capable a model seems (LOG.md has a case). So a task offers several, and the caller keeps
the one after which the model really answers.
"""

from string import ascii_uppercase
from typing import get_args

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.question import Prompt, Question, QuestionForm, Stem, Strategy

CHOICE_STEMS = (
    Stem("\n\nAnswer: (", ""),  # labels are single letters, so none begins another and nothing need close them
    Stem("\n\nSo the correct option is (", ""),
    Stem(" The answer is (", ""),
)
FREE_FORM_STEMS = (
    Stem("\n\nThe final answer is \\(\\boxed{", "}"),
    Stem("\n\nAnswer: ", "\n"),
    Stem(" The answer is ", "."),
)

INSTRUCTIONS: dict[tuple[QuestionForm, Strategy], str] = {
    ("choice", "cot"): "Think step by step, then choose the correct option.",
    ("choice", "no_cot"): "Answer with the letter of the correct option only.",
    ("free-form", "cot"): "Think step by step, then give the answer.",
    ("free-form", "no_cot"): "Give the answer only, without any explanation.",
}
"""What a prompt asks for after the question, by the question's form and the prompt's strategy."""


def choose_stems(form: QuestionForm) -> tuple[Stem, ...]:
    """The answer stems worth trying for questions of this form, the usual best first.

    Raises TaskError for an unknown form.
    """
    check_choice(form, get_args(QuestionForm), "form of a question", TaskError)
    return CHOICE_STEMS if form == "choice" else FREE_FORM_STEMS


def make_labels(n: int) -> tuple[str, ...]:
    """The first `n` option labels: A, B, C, ..."""
    return tuple(ascii_uppercase[:n])


def format_question(question: Question) -> str:
    """The question, and its options a line each."""
    options = [format_option(question, label) for label in question.candidates[: len(question.choices)]]
    return "\n".join([question.text, *options])


def format_option(question: Question, label: str) -> str:
    """The line of one option."""
    return f"({label}) {question.choices[question.candidates.index(label)]}"


def write_prompt(question: Question, strategy: Strategy) -> Prompt:
    """The question, its options a line each, and an instruction; with a chain of thought also its first words.

    Raises TaskError for an unknown strategy.
    """
    check_choice(strategy, get_args(Strategy), "strategy", TaskError)
    user = f"{format_question(question)}\n\n{INSTRUCTIONS[question.form, strategy]}"
    return Prompt(user, "Let's think step by step." if strategy == "cot" else "")
