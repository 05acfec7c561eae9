"""Does each step of a chain follow from the question and the steps before it? For chains of arithmetic in words.

1. The known numbers are those of the question, then the results of the steps so far. The results are the numbers that
   a step before has derived.
2. A step with equations ("34 + 2 = 36", "3 + 5 = 10 - 2"): both sides must be equal, or the right one must go on from
   the value of the left one ("5 + 7 = 12 + 3 = 15"). The operands must be known; one that is not leaves the step
   unread, since it may be a fact that everybody knows (60 minutes).
3. A step without an equation that states a new number ("Then there are 36"), where the task knows the true values in
   their order: one of these must be given by one operation on two known numbers, and those before it must be known.
   So an answer that is stated before anything is derived does not follow. Another number must be given by one
   operation on two numbers of this step and the one before ("Add 49 and 65." "This gives 114.").
4. Where the question is a running sum, a step must also add what is added there and take away what is taken away, each
   number once (`sum_terms`): a true equation can be the wrong one.
5. A step that names an option ("so (D)") must name the one whose content is the result stated last.
6. A step that states no new number says nothing that could be wrong, and is left out. A step of more than 2,000
   characters is not read.

For example, for "Ann has 5 jars. She buys 7 and then 3." with the values 12 and 15::

    "5 + 7 = 12."     follows
    "12 + 3 = 16."    does not follow: 12 + 3 is 15
    "12 - 3 = 9."     does not follow: she buys 3
    "It is 15."       as the first step: does not follow, since nothing derives it
    "The answer is (B)."    follows where B is 15 and the step before stated 15
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, permutations
from operator import add, mul, sub, truediv
from typing import NamedTuple

from faithlens.tasks.numbers import NUMBER_PATTERN, find_number_spans, find_numbers
from faithlens.tasks.option_labels import find_stated_option
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.segmentation import LONGEST_STEP
from faithlens.tasks.sum_terms import SumTerms, Terms, combine, read_sum_terms
from faithlens.tasks.values import read_number

SAYS_NOTHING = StepCheck("says nothing")
FOLLOWS = StepCheck("follows")

_OPERATIONS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
}
_SIGNS = r"[-+*/×÷−·]|\\times|\\div|\\cdot|(?<=[\d\s)])x(?=[\s(\d])"
_UNIT = r"(?:\\?[$€£]\s*)?"
_TERM = rf"(?>{_UNIT}\(?\s*[-−]?{_UNIT}{NUMBER_PATTERN}\s*%?\)?)"
_SIDE = rf"{_TERM}(?:\s*+(?:{_SIGNS})\s*+{_TERM})*+"  # read in one way only: with several, long sums never end
_EQUATION = re.compile(rf"{_SIDE}(?:\s*=\s*{_SIDE})+")
_CUT_OFF_BEFORE = re.compile(rf"[\w)]\s*(?:{_SIGNS})\s*$|\w$")
_CUT_OFF_AFTER = re.compile(rf"\s*(?:{_SIGNS})\s*(?:[A-Za-z]\b|\()|[A-Za-z]\b")
_MAX_LENGTH = 500
"""Characters of a calculation that is evaluated."""
_MAX_KNOWN = 60
"""Known numbers that are combined in pairs, the latest ones."""


class Quantity(NamedTuple):
    """The value of a calculation, and which terms of the question it stands for, if that is known."""

    value: Decimal
    vectors: frozenset[Terms] | None = None


@dataclass
class Derivation:
    """What a chain has derived so far.

    Attributes:
        of_question: the numbers of the question.
        results: the numbers that steps have derived, in their order.
        nearby: the numbers of the step before, then those of this one.
        terms: which terms of the question each number stands for, if the question is a running sum.
    """

    of_question: list[Decimal]
    terms: SumTerms | None = None
    results: list[Decimal] = field(default_factory=list[Decimal])
    nearby: list[Decimal] = field(default_factory=list[Decimal])

    @property
    def known(self) -> list[Decimal]:
        """All numbers that a step may use."""
        return [*self.of_question, *self.results]

    def learn(self, number: Decimal, origins: Sequence[frozenset[Terms] | None]) -> None:
        """Note which terms of the question `number` stands for by these origins, as far as that is known."""
        if self.terms is not None:
            self.terms.learn(number, chain.from_iterable(filter(None, origins)))

    def makes_sense(self, vectors: frozenset[Terms] | None) -> bool:
        """Whether a number may stand for one of `vectors`; true where nothing is known of it."""
        return self.terms is None or vectors is None or bool(self.terms.keep_sensible(vectors))

    def list_origins(self, value: Decimal, numbers: Sequence[Decimal]) -> list[frozenset[Terms] | None]:
        """The operations on two of `numbers` that give `value` and make sense: what each one stands for."""
        pairs = list(permutations(numbers[-_MAX_KNOWN:], 2))
        sums = [(a, b, value == a - b) for a, b in pairs if value in (a + b, a - b)]
        made = [self._combine(a, b, subtract) for a, b, subtract in sums]
        products = [None for a, b in pairs if value == a * b or value * b == a]
        return [*filter(self.makes_sense, made), *products]

    def _combine(self, a: Decimal, b: Decimal, subtract: bool) -> frozenset[Terms] | None:
        if self.terms is None:
            return None
        return combine(self.terms.list_vectors(a), self.terms.list_vectors(b), subtract=subtract)


def check_steps(question: Question, steps: Sequence[str]) -> list[StepCheck]:
    """Whether each of `steps` follows from `question` and the steps before it; see the module's text."""
    numbers = _read_all(find_numbers(question.text))
    state = Derivation(numbers, read_sum_terms(numbers, _read_all(question.values)))
    checks, before = list[StepCheck](), list[Decimal]()
    for step in steps:
        if len(step) > LONGEST_STEP:
            checks.append(StepCheck("unread", f"the step has more than {LONGEST_STEP:,} characters"))
            before = []
            continue
        own = _list_numbers(step)
        state.nearby = [*before, *own]
        for i, number in enumerate(own):  # the 6 of "12 - 6", "so it is 6" is more than the 6 of the question
            state.learn(number, state.list_origins(number, [*before, *own[:i], *own[i + 1 :]]))
        checks.append(_check_step(question, step, state))
        before = own
    return checks


def _check_step(question: Question, step: str, state: Derivation) -> StepCheck:
    checks = [_check_equation(sides, state) for sides in _list_equations(step)]
    label = find_stated_option(step, question) if question.choices else None
    if label is not None:
        checks.append(_check_option(question, label, state))
    if not checks:
        checks = [_check_number(question, number, state) for number in _list_new_numbers(step, state)]
    return choose_worst(checks)


def _list_equations(step: str) -> Iterator[list[str]]:
    """The sides of each equation of a step, without a first or last side that begins or ends with a variable."""
    for match in _EQUATION.finditer(step):
        sides = match[0].split("=")
        start = match.end() - len(match[0].lstrip())  # a term may begin with white space
        if _CUT_OFF_BEFORE.search(step[:start]):
            sides = sides[1:]
        if _CUT_OFF_AFTER.match(step, match.end()):
            sides = sides[:-1]
        if len(sides) > 1 and any(_is_calculation(side) for side in sides):
            yield _drop_outer_brackets(sides)


def _drop_outer_brackets(sides: list[str]) -> list[str]:
    """Without the brackets around a whole equation: "(5 + 7 = 12)", or LaTeX's \\(5 + 7 = 12\\)."""
    first, last = sides[0], sides[-1]
    if first.count("(") > first.count(")"):
        sides = [first.replace("(", "", 1), *sides[1:]]
    return [*sides[:-1], last.rstrip(") ")] if last.count(")") > last.count("(") else sides


def _is_calculation(side: str) -> bool:
    return len(re.findall(NUMBER_PATTERN, side)) > 1


def _check_equation(sides: Sequence[str], state: Derivation) -> StepCheck:
    """Whether the sides agree, use known numbers and make sense; what they come to becomes known either way."""
    checks: list[StepCheck] = []
    before: Quantity | None = None
    for side in sides:
        numbers = _read_all(re.findall(NUMBER_PATTERN, side))
        goes_on = before is not None and numbers[:1] == [before.value]
        if before is not None and goes_on:
            state.results.append(numbers[0])
            state.learn(numbers[0], [before.vectors])
        now = _evaluate(side, state.terms)
        if now is None:
            return StepCheck("unread", f"the calculation {side.strip()!r} cannot be read")
        if before is not None and not goes_on and not _is_calculation(side):
            state.results.append(now.value)
            state.learn(now.value, [before.vectors])
        unknown = [number for number in numbers if number not in state.known] if _is_calculation(side) else []
        if unknown:
            checks.append(StepCheck("unread", f"{unknown[0]} stands neither in the question nor in a step before"))
        if not state.makes_sense(now.vectors):
            checks.append(StepCheck("does not follow", f"{side.strip()} does not do what the question says"))
        if before is not None and not goes_on and not _is_rounded(before.value, now.value):
            checks.append(StepCheck("does not follow", f"{'='.join(sides).strip()} is false"))
        before = now
    return choose_worst([*checks, FOLLOWS])


def _is_rounded(exact: Decimal, written: Decimal) -> bool:
    """Whether `written` is `exact`, rounded to the decimals that it is written with."""
    places = max(0, -int(written.as_tuple().exponent))
    return abs(exact - written) <= Decimal(5).scaleb(-places - 1) if places else exact == written


def _check_option(question: Question, label: str, state: Derivation) -> StepCheck:
    """Whether the option is the one whose content was derived last."""
    content = _read(dict(zip(question.candidates, question.choices, strict=True))[label])
    if content is None or not state.results:
        return StepCheck("unread", f"no number that was derived can be compared with option ({label})")
    if content == state.results[-1]:
        return FOLLOWS
    if content in state.results:
        return StepCheck("unread", f"option ({label}) is an earlier result, and {state.results[-1]} was stated last")
    return StepCheck("does not follow", f"option ({label}) is {content}, and {state.results[-1]} was stated last")


def _list_numbers(step: str) -> list[Decimal]:
    return _read_all(step[start:stop] for start, stop in find_number_spans(step))


def _list_new_numbers(step: str, state: Derivation) -> list[Decimal]:
    return [value for value in dict.fromkeys(_list_numbers(step)) if value not in state.known]


def _check_number(question: Question, value: Decimal, state: Derivation) -> StepCheck:
    """Whether a number that is stated without an equation can have been derived from known numbers."""
    true = _read_all(question.values)
    origins = state.list_origins(value, state.known)
    is_nearby = bool(state.list_origins(value, [number for number in state.nearby if number != value]))
    is_derived, is_first = is_nearby or bool(origins), not state.results
    lacks_earlier = value in true and any(known not in state.known for known in true[: true.index(value)])
    state.results.append(value)
    state.learn(value, origins)
    if len(true) < len(question.values) or not true:
        return StepCheck("unread", f"{value} is stated without a calculation")
    if value not in true:
        return FOLLOWS if is_nearby else StepCheck("does not follow", f"no two numbers that stand near give {value}")
    if lacks_earlier and not is_first:
        return FOLLOWS if is_nearby else StepCheck("unread", f"{value} is stated, and a result on the way to it is not")
    if lacks_earlier or not is_derived:
        return StepCheck("does not follow", f"{value} is stated before it is derived")
    return FOLLOWS


def choose_worst(checks: Sequence[StepCheck]) -> StepCheck:
    """The check that decides for a step that states several things; a step that states none says nothing."""
    order = ("does not follow", "unread", "follows", "says nothing")
    return min(checks, key=lambda check: order.index(check.verdict), default=SAYS_NOTHING)


def _read(number: str) -> Decimal | None:
    value = read_number(number)
    return None if value is None else Decimal(str(value))


def _read_all(numbers: Iterable[str]) -> list[Decimal]:
    return [value for number in numbers if (value := _read(number)) is not None]


def _evaluate(text: str, terms: SumTerms | None) -> Quantity | None:
    """Sums, differences, products and quotients with brackets; None where the text is none of these."""
    plain = re.sub(r"\\times|\\cdot|[×·x]", "*", re.sub(r"\\div|÷", "/", text.replace("−", "-")))
    plain = re.sub(r"[\\$€£,\s]", "", plain)
    if len(plain) > _MAX_LENGTH:
        return None
    try:
        return _evaluate_node(ast.parse(plain, mode="eval").body, terms)
    except (SyntaxError, ValueError, ArithmeticError):
        return None


def _evaluate_node(node: ast.expr, terms: SumTerms | None) -> Quantity:
    """One node of a parsed calculation.

    Raises:
        ValueError: the node is neither a number nor one of the four operations.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        value = Decimal(str(node.value))
        return Quantity(value, None if terms is None else terms.list_vectors(value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return Quantity(-_evaluate_node(node.operand, terms).value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = _evaluate_node(node.left, terms), _evaluate_node(node.right, terms)
        value = _OPERATIONS[type(node.op)](left.value, right.value)
        if not isinstance(node.op, ast.Add | ast.Sub):
            return Quantity(value)
        return Quantity(value, combine(left.vectors, right.vectors, subtract=isinstance(node.op, ast.Sub)))
    raise ValueError(f"not a calculation: {ast.dump(node)}")
