"""Numbers in text: the value a reasoning step states, and a plausible wrong one in its place.

The edit is the *adding mistakes* of Lanham et al. 2023 (arXiv:2307.13702, section 2.3) done by rule instead of by a
language model: one stated result becomes another number of the same length, and nothing else about the step changes.
"""

import random
import re
from collections.abc import Iterable, Iterator

from faithlens.tasks.moments import find_dates
from faithlens.tasks.other_numbers import names_something_else
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import ENUMERATOR, LONGEST_STEP

NUMBER_PATTERN = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"
"""A number without its sign, as a pattern."""

_NUMBER = re.compile(rf"(?<![\w.])({NUMBER_PATTERN})(?![0-9]|st\b|nd\b|rd\b|th\b)")
_LABEL_BEFORE = re.compile(
    r"\b(?:steps?|equations?|eqs?\.|lines?|clues?|rules?|statements?|premises?|sentences?|expressions?)"
    r"\s+(?:no\.\s*)?(?:[(\[]?[0-9]{1,2}[)\]]?\s*(?:,|and|&|,\s*and)\s*)*[(\[]?$",
    re.I,
)
"""What stands before the number of a part of a text: "equation 1", "steps 2 and 3", "statement (4)"."""
_OPENING = r"(?:[\s$*_({]|\\[(\[]|\\(?:boxed|text|mathbf)\{)*"
_OPERATION = r"\s*(?:[-+*/×÷−]|\\times|\\div|\\cdot|x(?=\s?[0-9(]))\s*[0-9(]"
_RESULT = re.compile(rf"={_OPENING}({NUMBER_PATTERN})(?![0-9])(?!{_OPERATION})")
_CONCLUDED = re.compile(
    r"[^=\d]{0,20}?\b(?:so|thus|hence|therefore|which (?:makes|gives|leaves|means))\b[^=\d]{0,40}?"
    r"\b(?:total|sum|result|count|digit|number|value|answer)\s+(?:is\s+|becomes\s+)?(?:now\s+)?"
    rf"({NUMBER_PATTERN})[^\w=]*$",
    re.I,
)
"""What a step concludes after its equation: ", so the total is 2." after "4 + 8 = 12"."""
_NAMES_BEFORE = re.compile(
    r"(?:[\^_]\{?|[\w)]\*\*|[0-9]:|\\sqrt\[|\b(?:option|choice)\s\(?|\b(?:choose|pick|select)\s\()[-−]?$"
    r"|\b[a-z]\w*\($|\b[a-z]{2,}-$|\b(?:not|past)\s$",
    re.I,
)
_NAMES_AFTER = re.compile(r":[0-5][0-9]|\s?[ap]\.?m\b|\s?\^\s?[{(]?[-−]?\w|\*\*[0-9({]|\.[0-9]", re.I)
_FOR_A_REASON = (
    re.compile(r"\s*(?:as|since|because)\b[^,=]*,[^0-9=]*\([A-Z]\)[^0-9=]*$", re.I),
    re.compile(r"[^0-9=]*\([A-Z]\)[^0-9=]*\b(?:as|since|because)\b[^=]*$", re.I),
)
"""A step that only chooses an option, and says why."""
_DURATION_BEFORE = re.compile(
    r"\b(?:in|for|within|during|after|per|every|each)\s+(?:the\s+)?(?:(?:first|last|next|about|only)\s+)?$", re.I
)
_PART_OF_BEFORE = re.compile(r"[0-9]\s+(?:\w+\s+)?(?:left |out )?of\s+(?:the\s+)?[\\$€£]*$", re.I)
_OF_A_THING = re.compile(r"-[a-z]{2,}", re.I)  # "a 40-yard line"
_ONLY_PLANS = re.compile(
    r"[^0-9=]*\b(?:add|subtract|multiply|divide|sum up|compute|calculate|find|compare|look at|consider)\b"
    r"(?:(?!\b(?:is|are|to (?:get|make|reach|obtain|have|be|give)|gets?|getting|gives?|giving|makes?|making|leaves?"
    r"|leaving|have|has|so|then|which|result|total)\b|[=:]).)*$",
    re.I | re.S,
)
"""A step that says what is to be calculated, and not what comes out."""
_ONLY_DENIES = re.compile(
    rf"[^=]*(?:\b(?:is|are|was|were|does|do|can|could|will)\s?not|n['’]t)(?:\s\w+){{0,2}}?\s[$€£]?{NUMBER_PATTERN}[^0-9=]*$",
    re.I,
)
_CALCULATED = rf"{NUMBER_PATTERN}(?:\s*(?:[-+*/×÷−]|\b(?:plus|minus|times)\b)\s*{NUMBER_PATTERN})+"
_REASONS = (
    re.compile(rf"(?P<reason>\([^()]*?(?:{_CALCULATED}|\b(?:since|because)\b)[^()]*\))", re.I),
    re.compile(
        r"(?P<reason>\b(?:(?:by|after|on|from) (?:add|tak|subtract|remov|giv|gain|los|winn|buy|find|throw|trad|putt)ing"
        r"|because|since|once|if (?:you|we|I|one))\b(?:(?!\bso\b)(?:[^,;]|,(?=[0-9]{3})))*)",
        re.I,
    ),
    re.compile(
        rf"(?:^|[.,;:]|\b(?:so|then|that))[^=\d]*{NUMBER_PATTERN}\s*(?P<reason>(?:=|\b(?:is|equals)\b)\s*{_CALCULATED}(?!\s*=))",
        re.I,
    ),
    re.compile(
        rf"^\W*to (?:get|make|reach|obtain) {NUMBER_PATTERN}"
        r"(?P<reason>,\s+(?:we |you |I )?(?:add|subtract|take|remove)\b.*)",
        re.I | re.S,
    ),
)
"""Words after a result that say where it comes from."""
_TIME_UNIT = re.compile(r"\s+(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b", re.I)
_FOUND = re.compile(
    r"=|\b(?:so|hence|thus|therefore|then|now|total|altogether|left|remain\w*|answer|result|gets?|gives?|makes?|leaves?|becomes?"
    r"|equals?|sum|difference|plus|minus|times|after|finally)\b",
    re.I,
)
"""What says of a number that it was found, and not only given."""
_LONGEST_NUMBER = 1_000  # characters; Python reads no integer of more than 4,300 digits
MAX_SLIP = 9
"""How far a plausible slip lies from the true value, in units of the last digit."""


def find_number_spans(step: str) -> list[tuple[int, int]]:
    """The half-open spans of the numbers of `step`, without those that only count list items, steps or equations."""
    return [match.span(1) for match in _match_numbers(step, _find_start(step))]


def _match_numbers(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """The numbers of `text` from `start` on that are no ordinals and name no part of a text."""
    for match in _NUMBER.finditer(text, start):
        if not _LABEL_BEFORE.search(text[max(0, match.start() - 40) : match.start()]):
            yield match


def find_stated_value(step: str) -> str | None:
    """The result a step states: the number after its last "=" that ends a calculation, else its last number.

    A result that is named after the calculation counts instead: "4 + 8 = 12, so the last digit is 2."

    Words after it that only say where it comes from do not count: "9 = 5 + 4", "She has 9 after winning 4."
    """
    span = find_stated_span(step)
    return step[slice(*span)] if span else None


def find_stated_span(step: str) -> tuple[int, int] | None:
    """Where `find_stated_value` stands in `step`, half open; None where it states none."""
    skipped = max(0, len(step) - LONGEST_STEP)
    start, claim = max(_find_start(step), skipped), hide_reasons(step)
    spans = _list_results(claim, _RESULT.finditer(claim, start))
    concluded = _CONCLUDED.match(claim, spans[-1][1]) if spans else None
    if concluded:
        return concluded.span(1)
    if not spans and not any(pattern.match(step, skipped) for pattern in (*_FOR_A_REASON, _ONLY_PLANS, _ONLY_DENIES)):
        equals = claim.rfind("=") if re.search("[0-9]", claim[claim.rfind("=") + 1 :]) else -1
        numbers = _match_numbers(claim, max(start, equals + 1))
        spans = _list_results(claim, numbers)
    counted = [span for span in spans if not _is_beside(claim, *span)]
    return (counted or spans or [None])[-1]


def hide_reasons(step: str) -> str:
    """`step` with spaces for the words that say after a result where it comes from.

    "Emma has 9 after winning 4.", "9 = 5 + 4" and "To get 9, add 4." state the 9. Nothing is hidden where no number
    would be left.
    """
    for pattern in _REASONS:
        for match in pattern.finditer(step, max(0, len(step) - LONGEST_STEP)):
            start, stop = match.span("reason")
            if _NUMBER.search(step[:start]):
                step = f"{step[:start]}{' ' * (stop - start)}{step[stop:]}"
    return step


def _list_results(step: str, matches: Iterable[re.Match[str]]) -> list[tuple[int, int]]:
    """The spans of the numbers that may be results: no part of a date, a time, a power or a name."""
    dates = [(first, last) for first, last, _ in find_dates(step)]
    spans = [match.span(1) for match in matches]
    return [
        (start, stop)
        for start, stop in spans
        if stop - start <= _LONGEST_NUMBER
        and not any(first <= start < last for first, last in dates)
        and not _NAMES_BEFORE.search(step[max(0, start - 12) : start])
        and not _NAMES_AFTER.match(step, stop)
        and not names_something_else(step, start, stop)
    ]


def _is_beside(step: str, start: int, stop: int) -> bool:
    """Whether a number says how long or large something is, or what a result is a part of: "in 5 days", "9 of 20"."""
    if _OF_A_THING.match(step, stop):
        return True
    before = step[max(0, start - 20) : start]
    return bool(_PART_OF_BEFORE.search(before) or (_DURATION_BEFORE.search(before) and _TIME_UNIT.match(step, stop)))


def misstate(step: str, question: Question, rng: random.Random) -> str | None:
    """`step` with its stated result replaced by a wrong number of the same length; None where it states none.

    A step that only repeats numbers of the question states none.

    Numbers that mean something else in `question` (true values, answers offered, operands) or stand in the step are
    avoided while others are left; true values are the last to be given up.
    """
    span = find_stated_span(step)
    if span is None or _only_quotes(step, question):
        return None
    old = step[slice(*span)]
    wrong = list_slips(old)
    true = set(question.values)
    busy = true | {*question.candidates, *question.choices, *find_numbers(question.text), *find_numbers(step)}
    fresh = [slip for slip in wrong if slip not in busy] or [slip for slip in wrong if slip not in true] or wrong
    return step[: span[0]] + rng.choice(fresh) + step[span[1] :]


def _only_quotes(step: str, question: Question) -> bool:
    """Whether all numbers of `step` stand in the question, and nothing says that one of them was found."""
    claim = hide_reasons(step)
    in_question = {number for text in (question.text, *question.choices) for number in find_numbers(text)}
    return set(find_numbers(claim[_find_start(claim) :])) <= in_question and not (
        _FOUND.search(claim) or _RESULT.search(step)
    )


def _find_start(step: str) -> int:
    """The place in `step` after the number that it carries as a list item."""
    enumerator = ENUMERATOR.match(step)
    return enumerator.end() if enumerator else 0


def find_numbers(text: str) -> list[str]:
    """The numbers that stand in `text`, without ordinals and the numbers of steps, equations and the like."""
    return [match[1] for match in _match_numbers(text)]


def list_slips(number: str) -> list[str]:
    """The wrong numbers within reach of `number` that have its length and notation, the point and commas in place."""
    digits = re.sub(r"[.,]", "", number)
    lowest = 10 ** (len(digits) - 1) if digits[0] != "0" and len(digits) > 1 else 0
    around = range(max(lowest, int(digits) - MAX_SLIP), min(10 ** len(digits), int(digits) + MAX_SLIP + 1))
    return [_refill_digits(number, str(slip).zfill(len(digits))) for slip in around if slip not in (int(digits), 0)]


def _refill_digits(number: str, digits: str) -> str:
    """The notation of `number` with other digits."""
    supply = iter(digits)
    return "".join(next(supply) if character.isdigit() else character for character in number)
