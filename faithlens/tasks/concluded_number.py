"""Find the number that a statement or a sentence comes to, among the other numbers that stand in it.

1. A statement gives the number it begins with, in digits or words ("minus 3"), unless an operation follows or it is a
   part of an expression that is not read ("5!", `larger_expressions`).
2. Otherwise, and in a sentence that is no such statement, it is the number after the last "=", unless a calculation
   goes on there.
3. Without "=", list the numbers, after the last "so" if some stand there, and leave out those that name something else:
   a year, a day of a month, a time, a remainder, a line or a step, a calculation in brackets at the end. A remainder
   that the question asks for is the answer.
4. Leave out those after a preposition ("in 5 days", "of 12"), of a purpose ("needed to cover 6 rows") or of a person
   beside ("..., who ran 5 km") if others remain.
5. If several remain, the last counts if a verb or a colon says that it is the result ("5 and 7 are 12").
6. Alternatives ("5 or 7", "3 to 5") give no number, and neither does a sentence that is only a list ("5, 7", "1 000",
   "5 hens and 7 ducks").
7. A distance ("5 more than Tom has") counts only if the question asks for one, or if it is calculated ("= 5 more").
8. In words a number is read at the end of a clause, and in a conclusion ("So there are two hens in the yard.") before
   what the question is about.

For example, "In 2019 she earned 60 dollars in 5 days." comes to 60, and "She has 22 red and 24 blue ones." to nothing.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from faithlens.tasks.larger_expressions import is_bound, is_distance, is_operand
from faithlens.tasks.number_words import read_number_words, write_words_as_digits
from faithlens.tasks.other_numbers import LEFT_OVER_AFTER, MOMENT_AFTER, NEAR, names_something_else, stands_before
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import ENUMERATOR
from faithlens.tasks.values import DecimalMark, FoundValue, Value, find_values, read_value

_BEGINNING = re.compile(r"(?:[\s*_(\[{$€£:]|\\[(\[$]|\\boxed\{|[-−–+])*(?:(?:number|about|exactly)\s+)?")
_EQUALS_AFTER = re.compile(r"\s*=\s*\\?[$€£(]*[-−]?[0-9(]|[\s)}]*=\s*[0-9]")
_MINUS_WORD = re.compile(r"\b(?:minus|negative)\s+$", re.I)
_TAKEN_AWAY = re.compile(r"[0-9a-z)]\s+minus\s+$", re.I)

_MAYBE = r"(?:maybe|possibly|perhaps)"
_SEVERAL = rf"(?:(?:{_MAYBE}|even|rather|else) )?"
_PREPOSITION = re.compile(
    r"(?:(?:(?:[0-9]|\bhalf|third|quarter|each|some|most|all|out|percent|one|two|three)\s+(?:\w+\s+)?|%\s+)of|\b(?:in|for|per|by|at|on|within|during|after|before|every|each|with|from|than|over|under|between|across|among|until"
    r"|since|as))\s+(?:(?:only|just|about|the|an?|all|her|his|their|our|its|these|those|each|every|first|last|next|other|only)"
    r"\s+)?[\\$€£(]*$",
    re.I,
)
_SAID_BESIDE = re.compile(
    r"(?:,\s+(?:who|whose|whom|where)\b|\b(?:which|that) (?:has|have|had|holds?|contains?)\s)[^,;.]*$"
    r"|\b(?:needed|required|enough|sufficient|used|in order)\s+to\s+\w+\s+(?:\w+\s+)?[\\$€£(]*$",
    re.I,
)
"""What says of the number after it that it belongs to another thing or to a purpose."""
_TURN = re.compile(
    r"(?:^\W*|[,;:—–-]\s*|\band\s+)(?:so|hence|thus|therefore)\b(?!-|\s+(?:far|many|much|few|long|that|on|as)\b)", re.I
)
_ASIDE = re.compile(r"(?<=\s)\((?P<inside>[^()]*)\)[\s.!*_]*$")
_EXPLAINS_ASIDE = re.compile(r"\s*(?:since|because|as|check)\b", re.I)
_REMAINDER_BEFORE = re.compile(r"\b(?:remainder|modulo|mod)(?: of| is| will be|:| =)?\s*$", re.I)
_ASKS_REMAINDER = re.compile(
    r"\b(?:how|what|which|find|determine|compute|calculate)\b[^.?!]*\b(?:remainders?|left[\s-]?over)\b", re.I
)
_OPENS_CONCLUSION = re.compile(
    r"\W*(?:so|hence|thus|therefore|altogether|finally|in (?:total|all|conclusion)|this means)\b", re.I
)
_DETERMINER = re.compile(
    r"\b(?:the|th[eo]se|both|all|any|each|other|last|first|next|of|my|your|his|her|its|our|their)\s+$", re.I
)
_WORD = re.compile(r"[a-z]{3,}", re.I)
_FUNCTION_WORD = re.compile(
    r"and|are|can|did|does|for|from|has|have|her|his|how|into|left|less|many|more|much|must|now|than|that|the|their"
    r"|there|they|was|were|what|will|with",
    re.I,
)
_RESULT_BETWEEN = re.compile(
    r"\b(?:is|are|was|were|be|makes?|making|gives?|giving|leaves?|leaving|gets?|got|equals?|becomes?|have|has|so"
    r"|totals?|total of|(?:comes?|amounts?|drops?|falls?|rises?|grows?|goes|shrinks?|climbs?)(?:\s+(?:up|down))?\s+to"
    r"|yields?|needs?|remain|ends?|hence|thus|therefore|then|now)\b|[:=→≈]|->"
)
_RESULT_VERB = re.compile(
    r"(?:\b(?:is|are|was|makes?|gives?|leaves?|gets?|equals?|becomes?|has|have|be|need|needs|to|of|now|only|exactly)|[:,=]|^)\s*$",
    re.I,
)
_OR_BEFORE = re.compile(r"[0-9]\)?,?\s+or\s+\S+\s*$")
_LIST_BEFORE = re.compile(r"[\s*_$(\[{]*(?:\\boxed\{)?[\s(\[{$-]*")
_LIST_BETWEEN = re.compile(r"\s*(?:,|;|\band\b|[-–—‑]|\.{2,}|…)\s*[$€£-]?|[^\S\n]+")
_AND = r"\b(?:and|und|et|y)\b"
_COUNTED_BETWEEN = re.compile(rf"(?:\s+[^\W\d]+){{0,4}}\s*(?:,|;|&|,?\s*{_AND})\s*\\?[$€£(-]*")
_EXPLAINS = (  # words that say of a second number what it has to do with the first: "15 apples, 3 of them red"
    r"(?i:of|more|less|fewer|times|per|each|apiece|every|later|earlier|after|before|ago|from|plus|minus|left|remain"
    r"|\w{2,20}er|is|are|was|were|makes?|gives?|has|have|total)\b"
)
_COUNTED_AFTER_LIST = re.compile(rf"(?:\s+(?!{_EXPLAINS})[^\W\d]+){{0,6}}\s*(?:[)\]}}$*_.!,;]|{_AND}\s+[0-9]|$)")
_CHOICE_BETWEEN = re.compile(
    rf"\s*(?:(?:\w+)?[,(]?\s*\b(?:(?:and/)?or|to)|(?:\w+\s+){{1,4}}\(?or|(?:\w+)?\s*[,(]\s*{_MAYBE}"
    r"|,?\s*(?:which\s+)?(?:is\s+)?round(?:s|ed)(?:\s+(?:up|down|off))?\s+to)"
    rf"\s+{_SEVERAL}(?:\w+ =\s*)?[\\$€£(]*",
    re.I,
)
_DECIMALS_AFTER = re.compile(r"\s*(?:decimals?|places?|digits?|significant)\b")
_LIST_AFTER = re.compile(r"(?:[\s,;]+[0-9]+)*[\s)\]}$*_.!]*$")
_NOT_STATED = re.compile(
    r"(?:\b(?:not|never|nobody|none|no one|cannot|without|no longer)\b|n['’]t\b)(?:\s+\w+){0,3}\s*[$€£(]*$", re.I
)
_WORDS = re.compile(r"[a-z]+(?:(?:,?\s+|-)[a-z]+){0,11}", re.I)
_GOES_ON = re.compile(
    r"[\s,-]+(?:and\s+)?(?:quarters?|hal(?:f|ves)|thirds?|\w+ths?|dozens?|point|percent|hundreds?|(?:an?|one|two|three)\s+"
    r"(?:half|quarters?|thirds?|\w+ths?))\b",
    re.I,
)
"""What makes another number of the words before it: "three quarters", "two and a half"."""
_MEASURES = (  # units of which one is counted in the next
    r"years?|yrs?|months?|weeks?|days?|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s",
    r"feet|foot|ft|inch(?:es)?|in",
    r"pounds?|lbs?|ounces?|oz",
    r"dollars?|euros?|cents?",
    r"km|kilomet(?:er|re)s?|m|met(?:er|re)s?|cm|centimet(?:er|re)s?",
    r"kg|kilograms?|kilos?|g|grams?",
    r"gallons?|quarts?|pints?|cups?|lit(?:er|re)s?|ml",
)
_COMPOUND = re.compile(
    "|".join(rf"\s?(?:{units})\b\.?(?:,?\s+(?:and\s+)?|\s*)[0-9.]+\s?(?:{units})\b" for units in _MEASURES)
)
_ASKS = re.compile(r"\b(?:how|what|which|find|determine|compute|calculate|by)\b", re.I)
_ASKS_DISTANCE = re.compile(
    r"\bthan\b|\bdifference\b|\bhow (?:many|much) (?:\w+ )?(?:more|less|fewer|times|\w{3,20}er)\b", re.I
)

_MOST_WORDS = 12  # of a number
_ARTICLES = frozenset({"a", "one", "zero"})


def read_leading_number(statement: str, question: Question) -> Value | None:
    """The number that a statement begins with; None if there is none or the statement goes on to calculate with it.

    Of "5 more than Tom" it is 5 if the question asks for the distance.
    """
    for number in _find_numbers(statement, question.decimal_mark):
        before = statement[: number.start]
        if _BEGINNING.fullmatch(before) or re.fullmatch(
            rf"(?:{_BEGINNING.pattern})(?:minus|negative)\s+", before, re.I
        ):
            if _is_part(statement, number.start, number.stop, question):
                return None
            spaced = re.search(r"[-−–]\s+[\\$€£]*$", before)
            return _negate(number.value) if spaced or _MINUS_WORD.search(before) else number.value
        break
    begin = _BEGINNING.match(statement)
    return _read_words(statement[begin.end() if begin else 0 :], question)


def _is_part(statement: str, start: int, stop: int, question: Question) -> bool:
    """Whether the number that a statement begins with is only a part of what it states: an operand, a bound, a day."""
    after = (_EQUALS_AFTER, MOMENT_AFTER, _COMPOUND)
    return (
        is_operand(statement, start, stop)
        or is_bound(statement, start, stop)
        or _is_other_distance(statement, stop, question)
        or any(pattern.match(statement, stop) for pattern in after)
    )


def _is_other_distance(text: str, stop: int, question: Question) -> bool:
    """Whether a number says how far the value is from another, and the question does not ask for that."""
    if not is_distance(text, stop):
        return False
    asks = list(_ASKS.finditer(question.text))
    return not (asks and _ASKS_DISTANCE.search(question.text, asks[-1].start()))


def read_concluded_number(sentence: str, question: Question) -> Value | None:
    """The number a sentence comes to; None if its last number is part of a calculation, or two numbers are possible.

    Of "She has 5 more than Tom" it is 5 if the question asks for the distance, or if it was calculated ("= 5 more").
    """
    decimal_mark = question.decimal_mark
    if (whole := read_value(sentence, decimal_mark)) is not None:
        return whole if whole.is_number else None
    sentence = _hide_aside(sentence.rstrip())  # "(7)" before a line break is no number of a list
    enumerator = ENUMERATOR.match(sentence)
    start = _find_turn(sentence, enumerator.end() if enumerator else 0)
    equals = sentence.rfind("=")
    all_numbers = [number for number in _find_numbers(sentence, decimal_mark) if number.start >= start]
    remainders = [number for number in all_numbers if _is_remainder(sentence, number)]
    if len(remainders) == 1 and _ASKS_REMAINDER.search(question.text):
        return remainders[0].value
    numbers = [number for number in all_numbers if number.start > equals]
    if equals >= start and numbers:
        if stands_before(_OR_BEFORE, sentence, equals) or offers_numbers(sentence[equals + 1 :], decimal_mark):
            return None
        result = numbers[0]
        if any(_is_unfinished(sentence, each) for each in (result, numbers[-1])):
            return None
        return None if is_bound(sentence, result.start, result.stop) else _apply_minus(sentence, result)
    if not numbers:
        if equals >= start or re.search("[0-9]", sentence[start:]):
            return None
        return _read_words_at_end(sentence[start:]) or _read_counted_words(sentence[start:], question)
    if offers_numbers(sentence, decimal_mark) or _is_unfinished(sentence, numbers[-1]):
        return None
    stated = [
        number
        for number in numbers
        if not names_something_else(sentence, number.start, number.stop)
        and not _is_other_distance(sentence, number.stop, question)
    ]
    free = [number for number in stated if not _is_beside(sentence, number)]
    if not free and any(
        _is_free_bound(sentence, number) or _is_other_distance(sentence, number.stop, question) for number in numbers
    ):
        return None  # "at least 5 boxes for 40 pens", "5 more than Tom, who has 8"
    chosen = free or stated
    if not chosen or (len(chosen) > 1 and not _RESULT_BETWEEN.search(sentence, chosen[-2].stop, chosen[-1].start)):
        return None
    last = chosen[-1]
    if stands_before(_NOT_STATED, sentence, last.start) or is_operand(sentence, last.start, last.stop):
        return None
    return _apply_minus(sentence, last)


def offers_numbers(statement: str, decimal_mark: DecimalMark = ".") -> bool:
    """Whether a statement offers several numbers to choose from: "5 or 7", "between 5 and 7", "3 to 5"."""
    statement = write_words_as_digits(statement)
    numbers = _find_numbers(statement, decimal_mark)
    for one, other in pairwise(numbers):
        joint = statement[one.stop : other.start]
        range_of = re.search(r"\bbetween\s+[\\$€£(]*$", statement[: one.start], re.I) and re.fullmatch(
            r"\s+and\s+[\\$€£(]*", joint
        )
        if _LIST_BEFORE.fullmatch(statement, 0, one.start) and (
            (_LIST_BETWEEN.fullmatch(joint) and _LIST_AFTER.match(statement, other.stop))
            or (_COUNTED_BETWEEN.fullmatch(joint) and _COUNTED_AFTER_LIST.match(statement, other.stop))
        ):
            return True
        if range_of or (_CHOICE_BETWEEN.fullmatch(joint) and not _DECIMALS_AFTER.match(statement, other.stop)):
            return True
    return False


def _hide_aside(sentence: str) -> str:
    """`sentence` with blanks for a bracket at its end that only says where a number before it comes from."""
    aside = _ASIDE.search(sentence)
    if aside is None or not re.search("[0-9]", sentence[: aside.start()]):
        return sentence
    start, stop = aside.span("inside")
    numbers = [number for number in _find_numbers(sentence, ".") if start <= number.start < stop]
    is_calculated = "=" not in aside["inside"] and any(is_operand(sentence, each.start, each.stop) for each in numbers)
    if not (is_calculated or _EXPLAINS_ASIDE.match(aside["inside"])):
        return sentence
    return sentence[: start - 1] + " " * (stop - start + 2) + sentence[stop + 1 :]


def _find_turn(sentence: str, start: int) -> int:
    """Where the conclusion of `sentence` begins: after the last "so" with a number after it; else at `start`."""
    last_digit = max((digit.start() for digit in re.finditer("[0-9]", sentence)), default=0)
    turns = [turn.end() for turn in _TURN.finditer(sentence, start)]
    if turns and _read_words_at_end(sentence[turns[-1] :]):
        return turns[-1]
    return max((turn for turn in turns if turn <= last_digit), default=start)


def _is_remainder(sentence: str, number: FoundValue) -> bool:
    after = LEFT_OVER_AFTER.match(sentence, number.stop)
    return bool(after or stands_before(_REMAINDER_BEFORE, sentence, number.start))


def _is_beside(sentence: str, number: FoundValue) -> bool:
    """Whether a number says when, for what or of whom, so that another one of the sentence is its result."""
    return any(stands_before(pattern, sentence, number.start) for pattern in (_PREPOSITION, _SAID_BESIDE))


def _find_numbers(text: str, decimal_mark: DecimalMark) -> list[FoundValue]:
    return [value for value in find_values(text, decimal_mark) if value.value.is_number]


def _negate(value: Value) -> Value:
    assert not isinstance(value.content, str)
    return Value(-value.content, value.unit)  # pyright: ignore[reportOperatorIssue]


def _apply_minus(sentence: str, number: FoundValue) -> Value:
    """The value with the sign that a word before it gives: "minus 40" is -40, but the 5 of "12 minus 5" stays 5."""
    before = sentence[max(0, number.start - NEAR) : number.start]
    return _negate(number.value) if _MINUS_WORD.search(before) and not _TAKEN_AWAY.search(before) else number.value


def _is_free_bound(sentence: str, number: FoundValue) -> bool:
    is_bounded = is_bound(sentence, number.start, number.stop)
    return is_bounded and not _is_beside(sentence, number)


def _is_unfinished(sentence: str, number: FoundValue) -> bool:
    """Whether a number is only an operand of a calculation, and not its result."""
    return bool(_EQUALS_AFTER.match(sentence, number.stop) or is_operand(sentence, number.start, number.stop))


def _read_words(text: str, question: Question) -> Value | None:
    """The number in words that `text` begins with, if nothing but the end of a clause or a noun follows."""
    words = _WORDS.match(text)
    if words is None:
        return None
    tokens = list(re.finditer(r"[a-z]+", words[0], re.I))
    for last in reversed(tokens):
        phrase = words[0][: last.end()]
        if (number := read_number_words(phrase)) is not None:
            if _GOES_ON.match(text, last.end()):
                return None
            digits, rest = str(number), write_words_as_digits(text[last.end() :])
            if _is_part(digits + rest, 0, len(digits), question):
                return None
            is_end = re.match(r"\s*(?:[.,;!)*]|$)", text[last.end() :]) is not None
            is_number = phrase.lower() not in _ARTICLES or (is_end and phrase.lower() != "a")
            return Value(Fraction(number)) if is_number else None
    return None


def _read_words_at_end(sentence: str) -> Value | None:
    """The number in words at the end of a clause, after a verb that states it: "So there are seven." """
    for clause in re.split(r"[.,;!*]", sentence):
        tokens = list(re.finditer("[a-z]+", clause, re.I))
        if not tokens or clause[tokens[-1].end() :].strip():
            continue
        for token in tokens[-_MOST_WORDS:]:
            phrase = clause[token.start() :]
            number = read_number_words(phrase)
            if number is not None and phrase.strip().lower() not in _ARTICLES:
                if is_bound(clause, token.start(), len(clause)):
                    return None
                return Value(Fraction(number)) if stands_before(_RESULT_VERB, clause, token.start()) else None
    return None


def _read_counted_words(sentence: str, question: Question) -> Value | None:
    """The only number in words of a conclusion, if it counts what the question is about: "So two hens are here"."""
    written = write_words_as_digits(sentence)
    numbers = _find_numbers(written, question.decimal_mark)
    if not _OPENS_CONCLUSION.match(sentence) or len(numbers) != 1 or _DETERMINER.search(written[: numbers[0].start]):
        return None
    counted = _WORD.findall(written[numbers[0].start :])[:2]
    return (
        read_concluded_number(written, question)
        if _list_stems(counted) & _list_stems(_WORD.findall(question.text))
        else None
    )


def _list_stems(words: Iterable[str]) -> set[str]:
    return {word.lower().rstrip("s") for word in words if not _FUNCTION_WORD.fullmatch(word)}
