"""What each condition did to the chain of thought, in words, from the condition's name.

A name is ``kind``, ``kind@number`` or ``kind:detail``. For example::

    full                      nothing was edited
    cut@2                     only the first 2 steps are kept
    mistake@2                 step 3 is made wrong, later steps are kept       (steps count from 1 for readers)
    knockout:step 2           the answer cannot see step 3
    knockout:step 2:control 0 the answer cannot see as many tokens elsewhere (control 1)
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from faithlens.tasks.kinds import BASELINES, BIASES, FILLERS, HINTS, HINTS_AT_VALUES, STRATEGIES


class ConditionWords(NamedTuple):
    """A condition for readers.

    Attributes:
        group: the kind of edit, a heading.
        words: what was done.
        step: the index of the step that it is about, from 0; None where it is about no single step.
    """

    group: str
    words: str
    step: int | None = None


GROUPS = (
    "The chain as written", "Without the chain", "Cut short", "Made wrong", "Changed to the end", "Deleted",
    "Other words", "Hidden from the answer", "States exchanged", "Exchanged", "Filler in place of the chain",
    "Another order", "Hint in the prompt", "Biased prompt", "Weak evidence", "Strategies", "Regenerated",
    "Other conditions",
)  # fmt: skip
"""The kinds of edits, in the order of the page."""

PLAIN: dict[str, ConditionWords] = {
    "full": ConditionWords("The chain as written", "nothing is edited"),
    "no_cot": ConditionWords("Without the chain", BASELINES["no_cot"]),
    "empty_think": ConditionWords("Without the chain", BASELINES["empty_think"]),
    "reworded": ConditionWords("Other words", "every step in other words"),
    "relabelled": ConditionWords("Other words", "the options have other letters, in the question and in the chain"),
    "renamed": ConditionWords("Other words", "people or variables have other names, in the question and in the chain"),
    "swap_cot": ConditionWords("Exchanged", "this question, the chain of the counterfactual question"),
    "swap_question": ConditionWords("Exchanged", "the counterfactual question, this chain"),
    "swap_both": ConditionWords("Exchanged", "the counterfactual question and its chain"),
    "relay": ConditionWords(
        "Exchanged", "the words stay; the answer reads the states that the steps have after the counterfactual question"
    ),
    "claim_last": ConditionWords("Exchanged", "only the last step of the counterfactual's chain"),
    "claim_rest": ConditionWords("Exchanged", "the counterfactual's chain without its last step"),
    "claim_bare": ConditionWords("Exchanged", "only the answer of the counterfactual question, no steps"),
    "claim_end": ConditionWords("Exchanged", "this chain, then the answer of the counterfactual question"),
    "knockout:steps": ConditionWords("Hidden from the answer", "all steps"),
    "knockout:question": ConditionWords("Hidden from the answer", "the question"),
    "always_a": ConditionWords("Biased prompt", f"{BIASES['always_a']}, in the examples before the question"),
    "few_shot": ConditionWords("Biased prompt", "the same examples, their answers in random order (control)"),
    "swapped": ConditionWords("Weak evidence", "the evidence points to the other answer"),
}
"""Conditions that have one name each."""


CROSSED = {
    "through": "only the chain written under it: the prompt is the plain one",
    "around": "only the prompt: the chain is the one written without it",
    "no_chain": "with an empty chain",
}
"""What stands of a hint and of its chain, by the ending of a condition's name."""


def _cut(number: int) -> ConditionWords:
    if number == 0:
        return ConditionWords("Cut short", f"no step is kept ({BASELINES['cut@0']})")
    return ConditionWords("Cut short", f"only the first {_count(number)} kept", number - 1)


NUMBERED: dict[str, Callable[[int], ConditionWords]] = {
    "cut": _cut,
    "fill": lambda k: ConditionWords("Cut short", f"the first {_count(k)} kept, filler for the rest (control)", k - 1),
    "mistake": lambda i: ConditionWords("Made wrong", f"step {i + 1}, later steps kept", i),
    "regenerated": lambda i: ConditionWords("Made wrong", f"step {i + 1}, the rest regenerated", i),
    "propagate": lambda i: ConditionWords("Changed to the end", f"step {i + 1}, and all later steps follow", i),
    "paraphrase": lambda k: ConditionWords(
        "Other words", f"the first {_count(k)} in other words, the rest regenerated", k - 1
    ),
    "delete": lambda i: ConditionWords("Deleted", f"step {i + 1}", i),
    "blank": lambda i: ConditionWords("Deleted", f"step {i + 1}, filler in its place (control)", i),
    "restore": lambda i: ConditionWords(
        "Exchanged", f"the counterfactual's chain, but step {i + 1} is this chain's", i
    ),
}
"""Conditions that are named ``kind@number``."""

_END = re.compile(r"resample@(\d+)(?::(\d+))?")
_KNOCKOUT = re.compile(r"(knockout|state):step (\d+)(?::control (\d+))?")
_FILLER = re.compile(r"filler:(\w+):(\d+)")
_HINT = re.compile(r"hint_(\w+?)@(.+)")
_VALUE = re.compile(r"(?:value|graded)_(\w+?)@(.+)")
_SUGGESTED = re.compile(r"suggested@(.+)")
_TURNED = re.compile(r"(shuffle|letters):(\d+)")


@cache
def describe_condition(name: str) -> ConditionWords:
    """What the condition `name` did; the name itself, for a condition of a user's own assay."""
    base, colon, crossed = name.rpartition(":")
    if colon and crossed in CROSSED:
        known = describe_condition(base)
        return ConditionWords(known.group, f"{known.words}, {CROSSED[crossed]}", known.step)
    bare, ending = (name.removesuffix("_no_cot"), ", asked directly") if name not in PLAIN else (name, "")
    if bare in PLAIN:
        group, words, step = PLAIN[bare]
        return ConditionWords(group, words + (ending if bare != name else ""), step)
    kind, at, number = name.partition("@")
    if at and number.isdigit() and kind in NUMBERED:
        return NUMBERED[kind](int(number))
    if match := _END.fullmatch(name):
        n_steps, number = int(match[1]), int(match[2] or 0) + 1
        where = f"after step {n_steps}" if n_steps else "from the start"
        return ConditionWords("Regenerated", f"all {where}, nothing edited (end {number})", n_steps - 1)
    if match := _KNOCKOUT.fullmatch(name):
        return _describe_reading(match[1], int(match[2]), match[3])
    if match := _FILLER.fullmatch(name):
        filler = FILLERS.get(match[1], match[1]).strip()
        return ConditionWords("Filler in place of the chain", f"“{filler}”, {match[2]} quarters of the chain's length")
    if match := _HINT.fullmatch(bare):
        words = f"{HINTS.get(match[1], match[1])}, points to {match[2]}"
        return ConditionWords("Hint in the prompt", words + (ending if bare != name else ""))
    if match := _VALUE.fullmatch(name):
        words = f"{HINTS_AT_VALUES.get(match[1], match[1])}: {match[2]}"
        return ConditionWords("Hint in the prompt", words)
    if match := _SUGGESTED.fullmatch(bare):
        words = f"{BIASES['suggested']}: {match[1]}"
        return ConditionWords("Biased prompt", words + (ending if bare != name else ""))
    if match := _TURNED.fullmatch(name):
        what = "the steps in another order" if match[1] == "shuffle" else "the options in another order"
        return ConditionWords("Another order", f"{what} ({int(match[2]) + 1})")
    strategy, colon, rest = name.partition(":")
    if colon and strategy in STRATEGIES:
        return ConditionWords("Strategies", f"{STRATEGIES[strategy]}: {describe_condition(rest).words}")
    return ConditionWords("Other conditions", name)


def _describe_reading(kind: str, step: int, control: str | None) -> ConditionWords:
    group = "Hidden from the answer" if kind == "knockout" else "States exchanged"
    if control is None:
        return ConditionWords(group, f"step {step + 1}", step)
    return ConditionWords(group, f"as many tokens elsewhere as step {step + 1} has (control {int(control) + 1})", step)


def _count(steps: int) -> str:
    return "step is" if steps == 1 else f"{steps} steps are"


def order_condition(name: str) -> tuple[int, int, str]:
    """A key that sorts conditions by their group, then by their step, then by name."""
    group, _, step = describe_condition(name)
    return GROUPS.index(group), -1 if step is None else step, name
