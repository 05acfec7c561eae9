import random

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.question import EvidencePairTask, Question
from faithlens.tasks.weak_evidence import _SCENES, UNKNOWN_OPTIONS, WeakEvidence

TASK = WeakEvidence()
SOME = TASK.draw_questions(100, 1)


def content(question: Question, label: str) -> str:
    return question.choices[question.candidates.index(label)]


def test_the_protocol_holds() -> None:
    assert isinstance(TASK, EvidencePairTask)


@pytest.mark.parametrize("question", SOME[:40], ids=lambda question: question.id)
def test_swapping_exchanges_the_person_in_the_evidence_alone(question: Question) -> None:
    other = TASK.swap_evidence(question)
    assert other is not None
    assert other.id != question.id
    assert (other.candidates, other.choices, other.answer) == (question.candidates, question.choices, question.answer)
    assert TASK.swap_evidence(other) == question
    people = [c for c in question.choices if c not in UNKNOWN_OPTIONS]
    (opening, evidence, ask), (opening2, evidence2, ask2) = (
        text.replace("? ", ". ").split(". ") for text in (question.text, other.text)
    )
    assert (opening, ask) == (opening2, ask2)
    (texts,) = [person for person in people if person in evidence]
    (said2,) = [person for person in people if person in evidence2]
    assert texts != said2
    assert evidence.replace(texts, said2) == evidence2


def test_it_cannot_be_told_until_there_is_a_proof() -> None:
    for question in SOME:
        assert content(question, question.answer) in UNKNOWN_OPTIONS
        assert TASK.find_unknown_label(question) == question.answer
        twin = TASK.draw_counterfactual(question, 0)
        assert twin is not None
        assert TASK.find_unknown_label(twin) == question.answer
        about = [c for c in question.choices if c not in UNKNOWN_OPTIONS and c in question.text]
        assert [content(twin, twin.answer)] == about
        swapped = TASK.swap_evidence(twin)
        assert swapped is not None
        assert swapped.answer not in {twin.answer, question.answer}


def test_the_stereotype_points_at_the_first_of_a_scene_whatever_the_evidence() -> None:
    first = {scene.question: scene.people[0] for scene in _SCENES}
    assert len(first) == len(_SCENES)
    agreeing = 0
    for question in SOME:
        label = TASK.find_stereotyped_label(question)
        (ask,) = [ask for ask in first if question.text.endswith(ask)]
        assert content(question, label).lower() == first[ask]
        other = TASK.swap_evidence(question)
        assert other is not None
        assert TASK.find_stereotyped_label(other) == label != TASK.find_unknown_label(question)
        agreeing += content(question, label) in question.text
    assert 30 <= agreeing <= 70  # the evidence is as often with the stereotype as against it


def test_strangers_have_neither_pair_nor_options() -> None:
    stranger = Question("weak-evidence:0:0", "?", ("A", "B"), "A", ("1", "2"))
    assert TASK.swap_evidence(stranger) is None
    for ask in (TASK.find_unknown_label, TASK.find_stereotyped_label):
        with pytest.raises(TaskError, match="not a question of the task weak-evidence"):
            ask(stranger)


def test_people_are_exchanged_in_a_step() -> None:
    question = Question("q", "?", ("A", "B", "C"), "C", ("The artist", "The engineer", "Not known"))
    rng = random.Random(0)
    assert TASK.misstate("Perhaps the artist was lost.", question, rng) == "Perhaps the engineer was lost."
    assert TASK.misstate("So the answer is C", question, rng) in {"So the answer is A", "So the answer is B"}
    assert TASK.misstate("Somebody was.", question, rng) is None
