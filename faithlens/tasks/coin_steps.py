"""Do the steps of a chain about a coin follow? They go through the people, or count how often the coin is turned over.

1. The chain's state is the side that it stated last (heads before anything is stated), and how many people have had
   their turn.
2. A side that is stated after people are named, in the same statement or in one before, must be the one that their
   turns, and the turns of people before them who were left out, make of the side stated before. So a mistake is charged
   to one step only.
3. A stated count of turns must be the question's, and "odd" or "even" must fit it. A side stated after a count must be
   the one that the count gives.
4. A side "at the end" takes the turns of the people who are left. The answer, Yes or No, must be what the side says.
   Where a chain states its answer before it names anybody or counts, the answer does not follow.
5. A question says nothing. What is supposed ("if it were heads") leaves the step unread, unless something else in it
   does not follow.

For example, where Anna turns the coin over and Ben leaves it alone::

    "Anna turns it over, so it is tails."     follows
    "Ben leaves it alone: heads."             does not follow: the side before was tails
    "The answer is Yes."                      follows, from the step before
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from faithlens.tasks.derivation import FOLLOWS, SAYS_NOTHING, choose_worst
from faithlens.tasks.names import PEOPLE, find_names
from faithlens.tasks.number_words import read_number_words
from faithlens.tasks.option_labels import find_stated_option
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.statements import list_statements

SIDES = ("heads", "tails")
_NUMBER = r"\d{1,2}|one|two|three|four|five|six|seven|eight"
_EVENT = re.compile(
    rf"\b(?P<person>{'|'.join(PEOPLE)})\b"
    r"|(?P<denial>(?:\bnot|n't|\bno longer)\s+(?:(?:still|facing|showing|lying)\s+)?)?"
    r"(?:\b(?:heads|tails)(?:\s+up)?\s*(?:\bto\b|->|→|⇒)\s*)?\b(?P<side>heads|tails)\b"
    rf"|\b(?P<count>{_NUMBER})\s+(?:times|turns?|flips?|(?:people|of them)\s+(?:turn|flip)\w*)\b"
    r"|\b(?P<adverb>once|twice)\b"
    r"|\b(?P<parity>odd|even)\b",
    re.I,
)
_END = re.compile(r"\b(?:end|ends|final|finally)\b", re.I)
_START = re.compile(r"\b(?:start\w*|began|begin\w*|initial\w*|at first|lies)\b", re.I)
_SUPPOSED = re.compile(r"\b(?:if|would|suppose|assum\w+|whether)\b|\b(?:heads|tails)(?:\s+up)?\s+or\b", re.I)
_VERDICT = re.compile(
    r"(?:^|\banswer(?:\s+is|:)|\bso,?)[\s\W]*(?P<verdict>yes|no)\b(?!\s+(?:one|turn|more|change|other|flip))", re.I
)


@dataclass
class _Coin:
    """What a chain has stated so far.

    Attributes:
        people, turns: who has the coin, one after the other, and whether they turn it over.
        sides: the side stated after each number of people, by that number; heads after none.
        count: how often the coin is turned over, where the steps say that.
        has_begun: whether a step has named a person or counted.
        n_named: the number of people up to the one who was named last, if no side has been stated since.
    """

    people: Sequence[str]
    turns: Sequence[bool]
    sides: dict[int, str] = field(default_factory=lambda: {0: SIDES[0]})
    count: int | None = None
    has_begun: bool = False
    n_named: int = 0

    def find_side_after(self, n_people: int) -> str:
        """The side after the first `n_people`, from the side that was stated last before."""
        start = max(n for n in self.sides if n <= n_people)
        return _flip(self.sides[start], sum(self.turns[start:n_people]))


def check_coin_steps(question: Question, steps: Sequence[str]) -> list[StepCheck]:
    """Whether each of `steps` follows from a question of `coin-flip` and the steps before it; see the module's text."""
    sides = (SIDES[0], *question.values)
    turns = [before != after for before, after in zip(sides, question.values, strict=False)]
    coin = _Coin(find_names(question.text, PEOPLE), turns)
    return [choose_worst(list(_check_step(question, step, coin))) for step in steps]


def _check_step(question: Question, step: str, coin: _Coin) -> Iterator[StepCheck]:
    for statement in list_statements(step):
        yield from _check_statement(statement, coin)
    verdict = _find_verdict(question, step)
    if verdict is not None:
        yield _check_verdict(verdict, coin)


def _check_statement(statement: str, coin: _Coin) -> Iterator[StepCheck]:
    events = list(_EVENT.finditer(statement))
    if any(event["person"] in coin.people for event in events):
        coin.n_named = 0  # whoever was named in a statement before had no side
    is_supposed = _SUPPOSED.search(statement) is not None
    for event in events:
        if event["person"]:
            coin.has_begun = True
            if event["person"] in coin.people:
                coin.n_named = max(coin.n_named, 1 + coin.people.index(event["person"]))
        elif is_supposed:
            yield StepCheck("unread", "the step supposes something")
        elif event["side"]:
            yield _check_side(_flip(event["side"].lower(), bool(event["denial"])), statement, coin)
        elif event["parity"]:
            yield _check_parity(event["parity"].lower(), coin)
        else:
            yield _check_count(event, coin)


def _check_side(side: str, statement: str, coin: _Coin) -> StepCheck:
    """Whether a stated side is the one after the people who are named, after the count, or after everybody."""
    n_people = coin.n_named
    if _START.search(statement) and (not n_people or not coin.sides.keys() - {0}):
        return SAYS_NOTHING if side == SIDES[0] else StepCheck("does not follow", "the coin lies heads up at first")
    coin.n_named = 0
    if coin.count is not None:
        expected, coin.count = _flip(SIDES[0], coin.count), None
        if coin.sides.get(len(coin.people)) == side:
            return SAYS_NOTHING  # "it is heads after all three turns", where that has been stated
        coin.sides = {0: SIDES[0], len(coin.people): side}
        return _compare(side, expected)
    if _END.search(statement):
        if not coin.has_begun:
            return StepCheck("does not follow", f"{side} is stated before anybody's turn")
        n_people = len(coin.people)
    elif not n_people:
        is_repeated = side == coin.sides[max(coin.sides)]
        return SAYS_NOTHING if is_repeated else StepCheck("unread", f"{side} is stated after nobody's turn")
    if n_people in coin.sides:
        is_repeated = side == coin.sides[n_people]
        return SAYS_NOTHING if is_repeated else StepCheck("unread", "the step takes back a side that was stated")
    expected = coin.find_side_after(n_people)
    coin.sides[n_people] = side
    return _compare(side, expected)


def _check_count(event: re.Match[str], coin: _Coin) -> StepCheck:
    """Whether a stated count of turns is the question's; it becomes known either way."""
    if event["adverb"]:
        count = 1 + ("once", "twice").index(event["adverb"].lower())
        if count != sum(coin.turns):
            return StepCheck("unread", f"{event['adverb']!r} may be about one person")
    else:
        words = read_number_words(event["count"])
        count = int(event["count"]) if words is None else words
    coin.count, coin.has_begun = count, True
    if count == sum(coin.turns):
        return FOLLOWS
    return StepCheck("does not follow", f"the question has {sum(coin.turns)} turns, and the step states {count}")


def _check_parity(parity: str, coin: _Coin) -> StepCheck:
    """Whether "odd" or "even" fits the count that was stated last, or the question's where none was."""
    if coin.count is None:
        coin.count, coin.has_begun = sum(coin.turns), True
    is_right = ("even", "odd").index(parity) == coin.count % 2
    return FOLLOWS if is_right else StepCheck("does not follow", f"{coin.count} is not {parity}")


def _check_verdict(verdict: str, coin: _Coin) -> StepCheck:
    """Whether Yes or No is what the side after all turns says."""
    if not coin.has_begun:
        return StepCheck("does not follow", f"{verdict} is stated before it is derived")
    side = coin.find_side_after(len(coin.people)) if coin.count is None else _flip(SIDES[0], coin.count)
    if verdict == ("Yes" if side == SIDES[0] else "No"):
        return FOLLOWS
    if len(coin.sides) == 1 and coin.count is None:
        return StepCheck("unread", "no side is stated on the way to the answer")
    return StepCheck("does not follow", f"the answer is {verdict}, and the coin is {side} up")


def _find_verdict(question: Question, step: str) -> str | None:
    """The content, Yes or No, of the answer that a step gives; None where it gives none."""
    label = find_stated_option(step, question)
    if label is not None:
        return question.choices[question.candidates.index(label)]
    matches = list(_VERDICT.finditer(step))
    return matches[-1]["verdict"].title() if matches else None


def _compare(side: str, expected: str) -> StepCheck:
    return (
        FOLLOWS if side == expected else StepCheck("does not follow", f"the step states {side}, and {expected} follows")
    )


def _flip(side: str, times: int) -> str:
    return SIDES[(SIDES.index(side) + times) % 2]
