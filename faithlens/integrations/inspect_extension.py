"""A solver and a scorer for Inspect, which finds them by the entry point: `faithlens/ask_for_chain` and
`faithlens/faithfulness`.

The scorer reads the chain that the evaluation has written, after the prompt that was really asked, and edits it with
the weights of a model on this machine: those that Inspect holds (`hf/...`), or a model that is named.
"""

from collections.abc import Sequence
from functools import cache
from threading import Lock
from types import SimpleNamespace
from typing import Any

from anyio import to_thread
from inspect_ai.model import get_model  # pyright: ignore[reportMissingImports]
from inspect_ai.scorer import (  # pyright: ignore[reportMissingImports]
    Score,
    Scorer,
    Target,
    mean,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver  # pyright: ignore[reportMissingImports]

from faithlens.errors import ConfigError, FaithlensError, list_several
from faithlens.integrations.chain_scores import list_needed_assays, score_chain
from faithlens.measures.catalogue import get_measure
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.model.wrap import wrap
from faithlens.tasks.entries import BadEntryError, read_question
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.formats.inspect_logs import describe_question, find_last_user_text, read_choice

MEASURES = ("early_answering.aoc_mean_0_to_n-1", "knockout.steps", "stated.agrees")
"""What is scored by default: numbers of one chain that need no second question and no text of a model."""

_SCORING = Lock()
"""Chains are scored one at a time: each takes all cores, or the GPU."""


@solver
def ask_for_chain() -> Solver:
    """Ask each question in the words with which faithlens asks for a chain of thought, and let the model write."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        question = read_question(_describe_state(state), "sample")
        state.user_prompt.text = FixedTask("inspect", [question]).make_prompt(question, "cot").user
        return await generate(state)

    return solve


@scorer(metrics={"*": [mean(), stderr()]})
def faithfulness(
    model: str | None = None, measures: str | Sequence[str] = MEASURES, stem: str | None = None, seed: int = 0
) -> Scorer:
    """Does the chain of thought drive the answer? One number for each measure, by edits of the chain.

    Args:
        model: what `fl.load` takes. Default: the model under evaluation, if Inspect holds its weights (`hf/...`).
        measures: names from the catalogue (`faithlens measures`) that are one number for one chain.
        stem: the words after the chain, after which the answer is read; by default the best of several.
        seed: the seed of edits.

    Returns:
        A scorer. A measure without a value is NaN, which Inspect leaves out of its means; the explanation says why.

    Raises:
        MeasureError: a measure is unknown, or no single number.
    """
    names = list_several(measures)
    list_needed_assays(names)  # refuse wrong names before anything is evaluated

    @cache
    def get_weights() -> Model:
        return load(model) if model else _take_weights()

    async def score(state: TaskState, target: Target) -> Score:
        def run() -> Score:
            with _SCORING:
                return _score_state(get_weights(), state, names, stem, seed)

        return await to_thread.run_sync(run)

    return score


def _score_state(weights: Model, state: TaskState, measures: Sequence[str], stem: str | None, seed: int) -> Score:
    """The score of one sample; unscored, with the reason, where its chain cannot be scored."""
    try:
        scores = score_chain(weights, _describe_chain(state), measures, stem, seed)
    except BadEntryError as error:
        return Score.unscored(reason="invalid", explanation=f"not scored: {error}")
    except FaithlensError as error:
        return Score.unscored(reason="invalid", explanation=f"not scored: {error.problem}")
    values = {name: scores[name].value if name in scores else None for name in measures}
    lines = [
        f"{get_measure(name).label}: {'no value' if value is None else f'{value:.3f}'}. "
        f"{(scores[name].reason if name in scores else 'not measured') if value is None else get_measure(name).meaning}"
        for name, value in values.items()
    ]
    numbers = {name: float("nan") if value is None else value for name, value in values.items()}
    return Score(value=numbers, answer=state.output.completion, explanation="\n".join(lines))


def _describe_chain(state: TaskState) -> dict[str, Any]:
    """The sample as a line of a file of chains, with the conversation as it was asked."""
    if not state.output.choices:
        raise BadEntryError("the model wrote nothing", "generate before scoring")
    text, finish = read_choice(state.output.choices[0])
    conversation = [message for message in state.messages if message.role in ("system", "user", "assistant")]
    if conversation and conversation[-1].role == "assistant":  # the reply; an assistant message before it may begin it
        conversation.pop()
    messages = [{"role": message.role, "content": message.text} for message in conversation]
    return _describe_state(state) | {"messages": messages, "cot": text, "finish": finish}


def _describe_state(state: TaskState) -> dict[str, Any]:
    """The question of a sample, as a line of a file of questions."""
    choices = [choice.value for choice in state.choices]
    sample = SimpleNamespace(id=state.sample_id, input=state.input, target=list(state.target), choices=choices)
    return describe_question(sample, find_last_user_text(state.messages), False)


def _take_weights() -> Model:
    """The weights of the model under evaluation, if Inspect holds them in this process.

    Raises:
        ConfigError: it holds none.
    """
    under_test = get_model()
    weights, tokenizer = (getattr(under_test.api, name, None) for name in ("model", "tokenizer"))
    if weights is None or tokenizer is None:
        problem = f"Inspect holds no weights of {under_test}"
        raise ConfigError(problem, "Pass faithfulness(model=...), or evaluate a model of the provider hf/.")
    return wrap(weights, tokenizer)
