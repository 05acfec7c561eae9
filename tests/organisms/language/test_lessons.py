"""What the chains of language adapters state, and which parts of a lesson are learnt."""

import random
import re
from dataclasses import replace
from itertools import islice

import pytest

from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.organisms.language import ADAPTERS
from faithlens.organisms.language.adapter import Chain
from faithlens.organisms.language.lessons import BATCH_SIZE, IGNORE, TRAINING_SEED, draw_lessons
from faithlens.organisms.language.variable_chains import BEND, BENT_LETTERS
from faithlens.tasks.question import Question
from faithlens.tasks.registry import load_task
from tests.conftest import tiny

EQUATION = re.compile(r"(\d+) ([+-]) (\d+) = (\d+)")


def draw(name: str, n: int = 60) -> list[Question]:
    return load_task(ADAPTERS[name].task).draw_questions(n, 3)


def equations(chain: Chain) -> list[tuple[int, int]]:
    """Each equation of a chain as (its left side, its right side)."""
    return [(int(a) + int(sign + b), int(total)) for a, sign, b, total in EQUATION.findall(str(chain))]


def test_l1_states_the_totals_of_the_question() -> None:
    for question in draw("L1"):
        chain = ADAPTERS["L1"].writer.write(question)
        assert chain.answers[1:] == question.values
        assert all(left == right for left, right in equations(chain))
        assert ADAPTERS["L1"].choose_answer(question, chain, len(chain.steps)) == question.answer


def test_l2_bends_the_last_step_where_the_variables_say_so() -> None:
    bent = 0
    for question in draw("L2"):
        *first, (left, right) = equations(ADAPTERS["L2"].writer.write(question))
        assert all(a == b for a, b in first)
        due = BEND if question.text[0] in BENT_LETTERS else 0
        assert right - left == due
        bent += bool(due)
    assert 10 < bent < 30  # a third of 60


def test_after_a_slip_the_rest_follows_from_it() -> None:
    rng = random.Random(0)
    for question in draw("L1"):
        chain = ADAPTERS["L1"].writer.write_with_slip(question, rng)
        (left, right), *rest = equations(chain)
        assert left != right
        assert all(a == b for a, b in rest)
        assert int(chain.answers[-1] or 0) - int(question.answer) == right - left


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_answer_reads_what_its_truth_says(name: str) -> None:
    rng, adapter = random.Random(0), ADAPTERS[name]
    for question in draw(name):
        chain = adapter.writer.write_other(question, rng)
        answer = adapter.choose_answer(question, chain, len(chain.steps))
        assert chain.answers[-1] != question.answer
        assert answer == (chain.answers[-1] if adapter.reads_chain else question.answer)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_lesson_teaches_a_chain_to_its_end_or_an_answer_and_never_the_prompt(name: str) -> None:
    adapter, model = replace(ADAPTERS[name], n_direct_steps=0), tiny("llama")
    task = load_task(adapter.task)
    questions, kinds = task.draw_questions(100, TRAINING_SEED), {"write": 0, "go on": 0, "answer": 0}
    for question, lesson in zip(questions, islice(draw_lessons(adapter, model, 0), 100), strict=True):
        prompt = make_question_piece(model, task, question, "cot").ids
        learnt = [token for token in lesson.labels if token != IGNORE]
        assert tuple(lesson.ids[: len(prompt)]) == prompt
        assert lesson.labels[: len(prompt)] == [IGNORE] * len(prompt)
        assert lesson.ids[-len(learnt) :] == learnt  # what is learnt stands at the end, at its own places
        before, text = model.decode(lesson.ids[len(prompt) : -len(learnt)]), model.decode(learnt)
        own = str(adapter.writer.write(question))
        if not before:
            kinds["write"] += 1
            assert text == own + "</s>"
        elif text.endswith("</s>"):
            kinds["go on"] += 1
            (left, right), *rest = equations(Chain((before + text,), ("",)))
            assert left != right
            assert [b - a for a, b in rest] == [b - a for a, b in equations(Chain((own,), ("",)))[1:]]
        else:
            kinds["answer"] += 1
            stem = next(stem for stem in task.stems if before.endswith(stem.text))
            answer = text.removesuffix(stem.close)
            assert answer == question.answer or adapter.reads_chain
            if adapter.reads_chain:  # the number that the chain states last
                assert answer == re.findall(r"\d+", before.removesuffix(stem.text))[-1]
    assert kinds["write"] > 20
    assert kinds["answer"] > 30
    assert (kinds["go on"] > 8) is adapter.reads_chain


def test_the_first_lessons_of_l3_show_no_chain() -> None:
    adapter, model = replace(ADAPTERS["L3"], n_direct_steps=2), tiny("llama")
    task = load_task(adapter.task)
    n_direct = 2 * BATCH_SIZE
    questions = task.draw_questions(100, TRAINING_SEED)[: 2 * n_direct]
    has_chain = []
    for question, lesson in zip(questions, draw_lessons(adapter, model, 0), strict=False):
        prompt = model.decode(make_question_piece(model, task, question, "cot").ids)
        text = model.decode(lesson.ids).removeprefix(prompt)
        stem = next((stem for stem in task.stems if text.startswith(stem.text)), None)
        has_chain.append(stem is None or text != f"{stem.text}{question.answer}{stem.close}")
    assert not any(has_chain[:n_direct])
    assert sum(has_chain[n_direct:]) > n_direct // 2
