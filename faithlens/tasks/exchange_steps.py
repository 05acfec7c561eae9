"""Do the steps of a chain about people who exchange things follow?

1. The chain's state is what everybody holds, by the question at first, then by the steps; and how many exchanges have
   been made.
2. A step that names the two people of a later exchange, or "the second exchange", makes the exchanges up to it. Where
   no later one is meant, the chain begins again: it had only repeated the question.
3. "Anna holds the red ball" must be what the state says. Otherwise the step does not follow, and the state takes what
   the step says, so that a mistake is charged to one step only.
4. What is said of the start must be true in the question. What somebody gives away ("Anna gives the red ball") is not
   checked.
5. The option that the chain names must be what the person asked about holds after the exchanges that are left. One that
   is stated before the chain names anybody does not follow.
6. A question says nothing. What is denied or supposed leaves the step unread, unless something else in it does not
   follow.

For example, where Anna holds the map, Ben the hat, and they exchange what they hold::

    "Anna and Ben exchange: Anna holds the hat."    follows
    "Then Ben has the hat."                         does not follow
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from faithlens.tasks.derivation import FOLLOWS, SAYS_NOTHING, choose_worst
from faithlens.tasks.names import PEOPLE
from faithlens.tasks.option_labels import find_stated_option
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.statements import is_denied_or_supposed, list_statements

_PERSON = rf"(?:{'|'.join(PEOPLE)})"
_HOLDS = re.compile(rf"\b({_PERSON}) holds the ([\w ]+?)\.")
_EXCHANGES = re.compile(rf"\b({_PERSON}) and ({_PERSON}) exchange what they hold\.")
_ASKED = re.compile(rf"What does ({_PERSON}) hold at the end\?")
_MOVE = re.compile(
    rf"\b(?P<one>{_PERSON}) and (?P<other>{_PERSON})\b(?= (?:\w+ ){{0,2}}(?:exchange|swap|trade|switch))"
    rf"|\b(?P<from>{_PERSON}) (?:exchanges|swaps|trades|switches)\b[^.]*? with (?P<to>{_PERSON})\b"
    r"|\b(?P<ordinal>first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th) (?:exchange|swap|trade|switch)",
    re.I,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_START = re.compile(r"\b(?:start\w*|began|begin\w*|initial\w*|at first|originally)\b", re.I)


@dataclass
class _Hands:
    """What a chain has stated so far.

    Attributes:
        start: what everybody holds by the question.
        exchanges: the pairs, one after the other.
        held: what everybody holds now; None where a wrong step leaves it open.
        n_made: how many exchanges have been made.
        has_begun: whether a step has named somebody.
    """

    start: dict[str, str]
    exchanges: list[tuple[str, str]]
    held: dict[str, str | None]
    n_made: int = 0
    has_begun: bool = False

    def make_up_to(self, n: int) -> None:
        """Make the exchanges that are left of the first `n`."""
        for one, other in self.exchanges[self.n_made : n]:
            self.held[one], self.held[other] = self.held[other], self.held[one]
        self.n_made = max(self.n_made, n)

    def begin_again(self) -> None:
        """Go back to what everybody holds by the question."""
        self.held, self.n_made = dict(self.start), 0

    def find_true_place(self, person: str, thing: str) -> int | None:
        """After how many exchanges with the pair that was made last `person` holds `thing`; None if after none."""
        held, pair = dict(self.start), set(self.exchanges[self.n_made - 1])
        for n, (one, other) in enumerate(self.exchanges, start=1):
            held[one], held[other] = held[other], held[one]
            if {one, other} == pair and held[person] == thing:
                return n
        return None

    def set_held(self, person: str, thing: str) -> None:
        """Take over what a step says; who held the thing by the state holds something unknown."""
        for each, its in self.held.items():
            if its == thing:
                self.held[each] = None
        self.held[person] = thing


def check_exchange_steps(question: Question, steps: Sequence[str]) -> list[StepCheck]:
    """Whether each of `steps` follows from a question of `tracking` and the steps before it; see the module's text."""
    start = dict(_HOLDS.findall(question.text))
    hands = _Hands(start, _EXCHANGES.findall(question.text), dict(start))
    return [choose_worst(list(_check_step(question, step, hands))) for step in steps]


def _check_step(question: Question, step: str, hands: _Hands) -> Iterator[StepCheck]:
    for statement in list_statements(step):
        yield from _check_statement(statement, hands)
    label = find_stated_option(step, question)
    person = _ASKED.search(question.text)
    if label is not None and person is not None:
        yield _check_answer(person[1], question.choices[question.candidates.index(label)], hands)


def _check_statement(statement: str, hands: _Hands) -> Iterator[StepCheck]:
    """A check of each claim of a statement, made after the exchanges that stand before the claim."""
    claims = _find_claims(statement, hands)
    hands.has_begun |= re.search(rf"\b{_PERSON}\b", statement) is not None
    if claims and _START.search(statement):
        for _, person, thing in claims:
            is_true = hands.start[person] == thing
            yield (
                SAYS_NOTHING
                if is_true
                else StepCheck("does not follow", f"{person} holds the {hands.start[person]} at first, not the {thing}")
            )
        return
    if is_denied_or_supposed(statement):
        yield from (StepCheck("unread", "the step denies or supposes something") for _ in claims)
        return
    moves = list(_MOVE.finditer(statement))
    for place, person, thing in claims:
        while moves and moves[0].start() < place:
            _make_move(moves.pop(0), hands)
        yield _check_claim(person, thing, hands)
    for move in moves:
        _make_move(move, hands)


def _find_claims(statement: str, hands: _Hands) -> list[tuple[int, str, str]]:
    """Where a sentence says that somebody holds something: its place, the person and the thing."""
    things = "|".join(map(re.escape, hands.start.values()))
    pattern = re.compile(
        rf"\b(?P<person>{_PERSON})(?:\s+(?:now|then|still|also|will|ends up))*"
        rf"(?:\s+(?:holds?|has|have|gets?|receives?|holding|having|with)|\s*:|\s*=|\s*→|\s*->)"
        rf"(?:\s+(?:now|the|a|an))*\s*(?P<thing>{things})\b",
        re.I,
    )
    return [
        (match.start(), match["person"], match["thing"].lower())
        for match in pattern.finditer(statement)
        if match["person"] in hands.start
    ]


def _make_move(move: re.Match[str], hands: _Hands) -> None:
    """Make the exchanges up to the one that a step names; nothing where the question has no such exchange."""
    n_all = len(hands.exchanges)
    if move["ordinal"]:
        word = move["ordinal"].lower()
        places = [int(word[0]) - 1 if word[0].isdigit() else _ORDINALS.index(word)]
    else:
        pair = {move["one"] or move["from"], move["other"] or move["to"]}
        places = [place for place in range(n_all) if set(hands.exchanges[place]) == pair]
    places = [place for place in places if place < n_all]
    if places:
        later = [place for place in places if place >= hands.n_made]
        if not later:
            hands.begin_again()
        hands.make_up_to((later or places)[0] + 1)


def _check_claim(person: str, thing: str, hands: _Hands) -> StepCheck:
    held = hands.held[person]
    if held == thing:
        return FOLLOWS if hands.n_made else SAYS_NOTHING
    if hands.n_made == 0:
        return StepCheck("unread", f"the {thing} is said to be with {person}, and no exchange is named before")
    true_place = hands.find_true_place(person, thing)
    if true_place is not None:  # the same two exchange twice, and the step means the other time
        hands.begin_again()
        hands.make_up_to(true_place)
        return FOLLOWS
    hands.set_held(person, thing)
    if held is None:
        return FOLLOWS
    return StepCheck("does not follow", f"the step gives {person} the {thing}, and the {held} follows")


def _check_answer(person: str, thing: str, hands: _Hands) -> StepCheck:
    """Whether `person` holds `thing` after the exchanges that are left."""
    if not hands.has_begun:
        return StepCheck("does not follow", f"the {thing} is stated before it is derived")
    if hands.n_made == 0:
        return StepCheck("unread", "no step names an exchange")
    n_made = hands.n_made
    hands.make_up_to(len(hands.exchanges))
    held = hands.held[person]
    if held in (None, thing):
        return FOLLOWS if held else StepCheck("unread", f"what {person} holds is not stated")
    if n_made < len(hands.exchanges):
        return StepCheck("unread", "the chain states an answer before the last exchange")
    return StepCheck("does not follow", f"the answer is the {thing}, and {person} holds the {held}")
