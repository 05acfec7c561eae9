"""The lessons of a language adapter, as token ids in which some are learnt."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import cast

from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.model import Model
from faithlens.organisms.language.adapter import Chain, LanguageAdapter
from faithlens.tasks.question import Question, Task
from faithlens.tasks.registry import load_task

TRAINING_SEED = 1_000_000
"""Training questions are drawn with this seed and later ones; audits and certificates use small seeds."""

BATCH_SIZE = 16
"""The number of lessons of an optimiser step."""

IGNORE = -100  # the label of a token that is read and not learnt


@dataclass(frozen=True)
class Lesson:
    """A sequence of tokens.

    Attributes:
        ids: the tokens.
        labels: the tokens that are learnt, at their own places; `IGNORE` elsewhere.
    """

    ids: list[int]
    labels: list[int]


def draw_lessons(adapter: LanguageAdapter, model: Model, seed: int) -> Iterator[Lesson]:
    """Lessons without end, one for each question, a function of the seed."""
    task = load_task(adapter.task)
    rng = random.Random(f"{adapter.name}:{seed}")
    n_direct = adapter.n_direct_steps * BATCH_SIZE
    for number, question in enumerate(_draw_questions(task, seed)):
        if number < n_direct:
            yield _draw_direct_answer(adapter, model, task, question, rng)
        else:
            yield _draw_lesson(adapter, model, task, question, rng)


def _draw_questions(task: Task, seed: int) -> Iterator[Question]:
    for block in count():
        yield from task.draw_questions(100, TRAINING_SEED + 1000 * seed + block)


def _draw_lesson(adapter: LanguageAdapter, model: Model, task: Task, question: Question, rng: random.Random) -> Lesson:
    kind = rng.choices(("write", "go on", "answer"), (0.35, 0.2, 0.45))[0]
    if kind == "go on" and not adapter.reads_chain:
        kind = "answer"
    prompt = make_question_piece(model, task, question, "cot").ids
    if kind == "write":
        own = adapter.writer.write(question)
        return _join([(prompt, False), (model.encode_continuation(str(own)), True), (_encode_end(model), True)])
    if kind == "go on":
        chain = adapter.writer.write_with_slip(question, rng)
        first, rest = "".join(chain.steps[:2]), "".join(chain.steps[2:])
        parts = [
            (prompt, False),
            (model.encode_continuation(first), False),
            (model.encode_continuation(rest), True),
            (_encode_end(model), True),
        ]
        return _join(parts)
    return _draw_answer(adapter, model, task, question, prompt, rng)


def _draw_direct_answer(
    adapter: LanguageAdapter, model: Model, task: Task, question: Question, rng: random.Random
) -> Lesson:
    prompt = make_question_piece(model, task, question, "cot").ids
    answer = adapter.choose_answer(question, Chain((), ()), 0)
    assert answer is not None  # an adapter with direct steps answers from the question
    return _join_answer(model, task, [(prompt, False)], answer, rng)


def _draw_answer(
    adapter: LanguageAdapter, model: Model, task: Task, question: Question, prompt: tuple[int, ...], rng: random.Random
) -> Lesson:
    # Even shares: if most chains stated the other option, the right one would be the one that is not stated.
    is_own = rng.random() < 0.5
    chain = adapter.writer.write(question) if is_own else adapter.writer.write_other(question, rng)
    n_shown = len(chain.steps) if rng.random() < 0.7 else rng.randrange(len(chain.steps))
    answer = adapter.choose_answer(question, chain, n_shown)
    if answer is None:
        n_shown = len(chain.steps)
        answer = adapter.choose_answer(question, chain, n_shown)
    assert answer is not None
    steps = model.encode_continuation("".join(chain.steps[:n_shown]))
    return _join_answer(model, task, [(prompt, False), (steps, False)], answer, rng)


def _join_answer(
    model: Model, task: Task, read: list[tuple[tuple[int, ...], bool]], answer: str, rng: random.Random
) -> Lesson:
    """What is read, one of the task's stems, and the answer, which is learnt."""
    stem = rng.choice(task.stems)
    before, whole = (model.encode_continuation(text) for text in (stem.text, f"{stem.text}{answer}{stem.close}"))
    assert whole[: len(before)] == before
    return _join([*read, (before, False), (whole[len(before) :], True)])


def _encode_end(model: Model) -> tuple[int, ...]:
    """The token that ends the model's turn."""
    return (cast(int, model.tokenizer.eos_token_id),)


def _join(parts: list[tuple[tuple[int, ...], bool]]) -> Lesson:
    ids = [token for tokens, _ in parts for token in tokens]
    labels = [token if is_learnt else IGNORE for tokens, is_learnt in parts for token in tokens]
    return Lesson(ids, labels)
