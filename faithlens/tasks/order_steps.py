"""Do the steps of a chain about a strict order of people follow? The question compares each pair of neighbours.

1. A comparison ("Anna is taller than Ben", also with several people after "than") follows where it is true: the
   question's comparisons, taken together, give every pair.
2. A rank ("Anna is the tallest", "the second tallest") and a list ("Anna > Ben > Carl", "the order is Anna, Ben, Carl")
   follow where they are true; a list may begin at either end.
3. The option that the chain names must be the person who is asked for. A rank or an option that is stated before two
   people are named does not follow, even where it is true.
4. A question says nothing. What is denied or supposed leaves the step unread, unless something else in it does not
   follow.

For example, for "Anna is taller than Ben. Carl is shorter than Ben. Who is the tallest?"::

    "Anna is taller than Carl."      follows
    "Carl is taller than Ben."       does not follow
    "So Anna is the tallest."        follows; as the first step it does not
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from faithlens.tasks.derivation import FOLLOWS, choose_worst
from faithlens.tasks.names import PEOPLE
from faithlens.tasks.option_labels import find_stated_option
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.statements import is_denied_or_supposed, list_statements

_PERSON = rf"\b(?:{'|'.join(PEOPLE)})\b"
_RANKS = {"second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3}
_LIST = re.compile(rf"{_PERSON}(?:\s*(?:>|<|→|->)\s*{_PERSON})+")
_ORDER_LIST = re.compile(rf"\border(?:ed|ing)?\b[^.]*?(?P<list>{_PERSON}(?:,\s*(?:and\s+|then\s+)?{_PERSON})+)", re.I)


@dataclass
class _Order:
    """The true order of a question and the words for it.

    Attributes:
        people: from the far end of the scale to the person who is asked for.
        far, near: the comparative and superlative of the far end, and of the end that is asked for.
        has_compared: whether a step has compared two people.
        has_begun: whether a step has named two people.
    """

    people: Sequence[str]
    far: tuple[str, str]
    near: tuple[str, str]
    has_compared: bool = False
    has_begun: bool = False


def check_order_steps(
    question: Question, steps: Sequence[str], scales: Sequence[tuple[tuple[str, str], tuple[str, str]]]
) -> list[StepCheck]:
    """Whether each of `steps` follows from a question of `ordering` and the steps before it; see the module's text.

    Args:
        question: the question; its `values` are the people from the far end to the one asked for.
        steps: the steps of a chain.
        scales: for each scale the comparative and superlative of both ends.
    """
    near, far = next((one, other) for a, b in scales for one, other in ((a, b), (b, a)) if one[1] in question.text)
    order = _Order(question.values, far, near)
    return [choose_worst(list(_check_step(question, step, order))) for step in steps]


def _check_step(question: Question, step: str, order: _Order) -> Iterator[StepCheck]:
    for statement in list_statements(step):
        checks = list(_check_statement(statement, order))
        if checks and is_denied_or_supposed(statement):
            checks = [StepCheck("unread", "the step denies or supposes something")]
        yield from checks
    label = find_stated_option(step, question)
    if label is not None:
        yield _check_rank(question.choices[question.candidates.index(label)], len(order.people) - 1, order)


def _check_statement(statement: str, order: _Order) -> Iterator[StepCheck]:
    for nearer, farther in _find_comparisons(statement, order):
        order.has_compared = True
        is_true = order.people.index(nearer) > order.people.index(farther)
        yield (
            FOLLOWS
            if is_true
            else StepCheck(
                "does not follow", f"{nearer} is {order.far[0]} than {farther} by the question, not {order.near[0]}"
            )
        )
    lists = [match[0] for match in _LIST.finditer(statement)] + [m["list"] for m in _ORDER_LIST.finditer(statement)]
    for text in lists:
        order.has_compared = True
        yield _check_list(re.findall(_PERSON, text), order)
    yield from _check_ranks(statement, order)
    order.has_begun |= len(set(re.findall(_PERSON, statement))) > 1


def _find_comparisons(statement: str, order: _Order) -> Iterator[tuple[str, str]]:
    """Pairs of a sentence: the one who is said to be nearer to the end that is asked for, and the other."""
    pattern = re.compile(
        rf"[^.,;]*?\b(?P<word>{order.far[0]}|{order.near[0]})\s+than\s+(?:both\s+)?"
        rf"(?P<others>{_PERSON}(?:(?:,|,?\s+and|\s+or)\s+{_PERSON}(?!\s+is\b))*)"
    )
    last: str | None = None
    for match in pattern.finditer(statement):
        text = statement[match.start() : match.start("word")]
        before = re.findall(_PERSON, text)
        subject = before[-1] if before else last if re.search(r"\bwho\b", text) else None
        others = re.findall(_PERSON, match["others"])
        last = others[-1]
        for other in others:
            if subject in order.people and other in order.people and subject != other:
                yield (str(subject), other) if match["word"] == order.near[0] else (other, str(subject))


def _check_list(names: Sequence[str], order: _Order) -> StepCheck:
    places = [order.people.index(name) for name in names if name in order.people]
    if places in (sorted(places), sorted(places, reverse=True)):
        return FOLLOWS
    return StepCheck("does not follow", f"{', '.join(names)} is not the order of the question")


def _check_ranks(statement: str, order: _Order) -> Iterator[StepCheck]:
    """Ranks that a sentence states of the person named last before them, or first after them."""
    ranks = rf"(?:(?P<rank>{'|'.join(_RANKS)})[\s-]+)?(?P<word>{order.far[1]}|{order.near[1]})\b"
    pattern = re.compile(
        rf"(?P<before>{_PERSON})\s+(?:is|must be|comes out|being)\s+(?:\w+\s+)?the\s+{ranks}"
        rf"|\bthe\s+{ranks.replace('?P<rank>', '?P<rank2>').replace('?P<word>', '?P<word2>')}"
        rf"(?:\s+(?:person|one|of all|of them))?\s+(?:is|must be)\s+(?P<after>{_PERSON})",
        re.I,
    )
    for match in pattern.finditer(statement):
        person = match["before"] or match["after"]
        word, rank = match["word"] or match["word2"], match["rank"] or match["rank2"]
        if person not in order.people:
            continue
        distance = _RANKS[rank.lower()] if rank else 0
        place = distance if word.lower() == order.far[1] else len(order.people) - 1 - distance
        yield _check_rank(person, place, order)


def _check_rank(person: str, place: int, order: _Order) -> StepCheck:
    """Whether `person` stands at `place` of the order, and something was compared before."""
    if not order.has_compared:
        verdict = "unread" if order.has_begun else "does not follow"
        return StepCheck(verdict, f"{person} is named before a comparison that can be read")
    if place < len(order.people) and order.people[place] == person:
        return FOLLOWS
    return StepCheck("does not follow", f"{person} does not stand there in the order of the question")
