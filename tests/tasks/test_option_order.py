import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.option_order import reorder_options
from faithlens.tasks.question import Question


@st.composite
def shuffle_options(draw: st.DrawFn) -> tuple[Question, list[int]]:
    n = draw(st.integers(2, 8))
    names = tuple("ABCDEFGH"[:n])
    question = Question("q", "?", names, draw(st.sampled_from(names)), tuple(f"option {i}" for i in range(n)))
    return question, draw(st.permutations(range(n)))


@given(shuffle_options())
def test_an_order_and_its_inverse_give_the_question_back(drawn: tuple[Question, list[int]]) -> None:
    question, order = drawn
    inverse = [order.index(place) for place in range(len(order))]
    assert reorder_options(reorder_options(question, order), inverse) == question


@given(shuffle_options())
def test_the_right_content_and_the_labels_stay(drawn: tuple[Question, list[int]]) -> None:
    question, order = drawn
    again = reorder_options(question, order)
    assert again.candidates == question.candidates
    contents = dict(zip(again.candidates, again.choices, strict=True))
    assert contents[again.answer] == f"option {question.candidates.index(question.answer)}"
    assert list(again.choices) == [question.choices[place] for place in order]
    assert (again.id, again.text) == (question.id, question.text)


def test_the_right_option_can_be_put_first() -> None:
    question = Question("q", "?", ("A", "B", "C"), "C", ("red", "blue", "green"))
    assert reorder_options(question, [2, 0, 1]) == Question("q", "?", ("A", "B", "C"), "A", ("green", "red", "blue"))


def test_what_cannot_be_reordered_is_refused() -> None:
    question = Question("q", "?", ("A", "B"), "A", ("1", "2"))
    for order in ([0], [0, 0], [0, 1, 2], [1, 2]):
        with pytest.raises(TaskError, match="Pass each of 0 to 1 once"):
            reorder_options(question, order)
    with pytest.raises(TaskError, match="is free-form and has no options"):
        reorder_options(Question("q", "?", ("1", "2"), "1", form="free-form"), [1, 0])
