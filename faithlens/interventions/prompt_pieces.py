"""Prompts as tokens. A task writes a `Prompt` as text; only this module turns one into a `Piece`.

A reasoning model writes its thoughts before its answer. Its prompt therefore ends in one of three ways:

    open      the block of thoughts is open, and the model writes its chain of thought
    skipped   there is no block, and the next token is the answer
    empty     the block is closed again without a thought in it

For any other model the three are the same: the prompt ends with the prompt's `prefill`.
"""

from dataclasses import replace
from typing import Literal, get_args

from faithlens.errors import check_choice
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.tasks.question import Prompt, Question, Strategy, Task

Thoughts = Literal["open", "skipped", "empty"]
THOUGHTS_BY_STRATEGY: dict[Strategy, Thoughts] = {"cot": "open", "no_cot": "skipped"}


def make_prompt_piece(model: Model, prompt: Prompt, thoughts: Thoughts) -> Piece:
    """`prompt` in tokens. A model that opens or skips its thoughts gets no `prefill`: its own marker stands there.

    A prompt with a frame is its own text, word for word; only a marker of thoughts is added or left out at its end.

    Raises:
        ConfigError: `thoughts` is not one of "open", "skipped", "empty".
    """
    check_choice(thoughts, get_args(Thoughts), "state of the thoughts")

    def render(user: str, prefill: str = "", *, thinking: bool | None = None) -> str:
        if prompt.frame is None:
            return model.render(user, prefill, thinking=thinking, turns=prompt.turns)
        before, after = prompt.frame
        return before + user + after + prefill

    if model.thinking is None:
        text = render(prompt.user, prompt.prefill)
    elif thoughts == "open":
        text = model.thinking.open_thoughts(render, prompt.user)
    elif thoughts == "skipped":
        text = model.thinking.skip_thoughts(render, prompt.user)
    else:
        text = model.thinking.empty_thoughts(render, prompt.user) + prompt.prefill
    return Piece("prompt", model.encode_prompt(text))


def make_question_piece(model: Model, task: Task, question: Question, strategy: Strategy) -> Piece:
    """The prompt in which `task` puts `question`, in tokens.

    Args:
        model: the model that reads the prompt.
        task: the task that words the prompt.
        question: the question.
        strategy: "cot" for a prompt that asks for a chain of thought, "no_cot" for one that asks for an answer at once.

    Raises:
        ConfigError: `strategy` is neither of the two.
    """
    check_choice(strategy, THOUGHTS_BY_STRATEGY, "strategy")
    return make_prompt_piece(model, task.make_prompt(question, strategy), THOUGHTS_BY_STRATEGY[strategy])


def make_empty_think_piece(model: Model, task: Task, question: Question) -> Piece | None:
    """The prompt that asks for a chain of thought, with a closed empty block; None for a model without such blocks."""
    if model.thinking is None:
        return None
    return make_prompt_piece(model, replace(task.make_prompt(question, "cot"), prefill=""), "empty")
