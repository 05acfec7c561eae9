"""Every condition is put in words, under the step that it is about."""

import pytest

from faithlens.report.conditions import GROUPS, NUMBERED, PLAIN, describe_condition, order_condition


@pytest.mark.parametrize(
    ("name", "group", "words", "step"),
    [
        ("full", "The chain as written", "nothing is edited", None),
        ("cut@0", "Cut short", "no step is kept (empty CoT)", None),
        ("cut@3", "Cut short", "only the first 3 steps are kept", 2),
        ("mistake@2", "Made wrong", "step 3, later steps kept", 2),
        ("knockout:step 2", "Hidden from the answer", "step 3", 2),
        ("state:step 2:control 1", "States exchanged", "as many tokens elsewhere as step 3 has (control 2)", 2),
        ("filler:dots:3", "Filler in place of the chain", "“...”, 3 quarters of the chain's length", None),
        ("hint_metadata@B", "Hint in the prompt", "answer in metadata, points to B", None),
        ("hint_silent@4", "Hint in the prompt", "silently followed, points to 4", None),
        (
            "hint_metadata@B:through",
            "Hint in the prompt",
            "answer in metadata, points to B, only the chain written under it: the prompt is the plain one",
            None,
        ),
        (
            "always_a:around",
            "Biased prompt",
            "answer is always A, in the examples before the question, only the prompt: the chain is the one written "
            "without it",
            None,
        ),
        (
            "few_shot:no_chain",
            "Biased prompt",
            "the same examples, their answers in random order (control), with an empty chain",
            None,
        ),
        ("suggested@B_no_cot", "Biased prompt", "suggested answer: B, asked directly", None),
        ("shuffle:1", "Another order", "the steps in another order (2)", None),
        ("factored:cut@2", "Strategies", "factored: only the first 2 steps are kept", None),
        ("my own edit", "Other conditions", "my own edit", None),
        ("cut@many", "Other conditions", "cut@many", None),
    ],
)
def test_a_condition_in_words(name: str, group: str, words: str, step: int | None) -> None:
    assert describe_condition(name) == (group, words, step)


def test_conditions_are_sorted_as_the_groups_are() -> None:
    names = ["swap_cot", "cut@10", "mistake@0", "full", "cut@2", "other"]
    assert sorted(names, key=order_condition) == ["full", "cut@2", "cut@10", "mistake@0", "swap_cot", "other"]
    assert {words.group for words in PLAIN.values()} <= set(GROUPS)
    assert {describe_condition(f"{kind}@1").group for kind in NUMBERED} <= set(GROUPS)
