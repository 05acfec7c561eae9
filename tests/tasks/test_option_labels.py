import random

import pytest

from faithlens.tasks.arithmetic import Arithmetic
from faithlens.tasks.option_labels import find_stated_option, misstate_option, relabel, replace_label
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.question import Question

QUESTION = Question("q", "?", ("A", "B"), "A", ("12", "15"), ("7", "12"))


@pytest.mark.parametrize(
    ("step", "edited"),
    [
        ("The correct choice is \\(\\boxed{A}\\).", "The correct choice is \\(\\boxed{B}\\)."),
        ("It is 12, so (A).", "It is 12, so (B)."),
        ("So the answer is (A) 12.\n", "So the answer is (B) 15.\n"),
        ("So the answer is (A) 120.", "So the answer is (B) 120."),
        ("Not (A) 12 but (B) 15 fits", "Not (A) 12 but (A) 12 fits"),
        ("**Answer: A**", "**Answer: B**"),
        ("The answer is A", "The answer is B"),
        ("The answer is A bit odd", None),
        ("So (C) it is.", None),
        ("A box holds 12.", None),
    ],
)
def test_the_last_label_and_its_content_change(step: str, edited: str | None) -> None:
    assert misstate_option(step, QUESTION, random.Random(0)) == edited


def test_free_form_questions_have_no_labels() -> None:
    assert misstate_option("So (A).", Question("q", "?", ("A", "B"), "A", form="free-form"), random.Random(0)) is None


def test_tasks_misstate_the_label_before_anything_else() -> None:
    assert (
        Arithmetic(form="choice").misstate("5 + 7 = 12, so (A).", QUESTION, random.Random(0)) == "5 + 7 = 12, so (B)."
    )
    people = Question("q", "?", ("A", "B"), "A", ("Ben", "Anna"))
    assert Ordering().misstate("So it is (A) Ben.", people, random.Random(0)) == "So it is (B) Anna."


@pytest.mark.parametrize(
    ("step", "label"),
    [("Not (A) but (B).", "B"), ("**Answer: A**", "A"), ("So (C).", None), ("A box.", None), ("It is 12.", None)],
)
def test_the_last_label_is_the_stated_one(step: str, label: str | None) -> None:
    assert find_stated_option(step, QUESTION) == label


@pytest.mark.parametrize(
    ("step", "edited"),
    [
        ("The answer is (A), option A.", "The answer is (B), option B."),
        ("A box holds 12.", "A box holds 12."),
        ("Not (B).", None),
        ("Both (A) and (B).", None),
        ("A) 12", None),  # perhaps a label, perhaps not
        ("**A**", None),
    ],
)
def test_relabel_changes_labels_it_is_sure_of(step: str, edited: str | None) -> None:
    assert replace_label(step, QUESTION, "A", "B") == edited


@pytest.mark.parametrize(
    ("step", "edited"),
    [
        ("It is 12, so (A).", "It is 12, so (B)."),
        ("Not (A) 12 but (B) 15 fits", "Not (B) 12 but (A) 15 fits"),
        ("**Answer: A**", "**Answer: B**"),
        ("A box holds 12.", "A box holds 12."),
        ("We take A.", None),
    ],
)
def test_every_label_changes_and_contents_stay(step: str, edited: str | None) -> None:
    assert relabel(step, QUESTION, {"A": "B", "B": "A"}) == edited
