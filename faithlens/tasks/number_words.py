"""Whole numbers in English words: "minus three", "twenty-five", "one million two hundred and four"."""

import re

SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""The words that multiply all words before them."""

_SMALL = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
          "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
          "seventeen": 17, "eighteen": 18, "nineteen": 19}  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}

_WORD = "|".join([*_SMALL, *_TENS, *SCALES, "hundred"])
_PHRASE = re.compile(
    rf"\b(?:(?:minus|negative)\s+)?(?:an?\s+(?=hundred|thousand|[mbt]r?illion))?(?:{_WORD})"
    rf"(?:(?:(?<=nd),|(?<=on),)?[\s-]+(?:and\s+)?(?:{_WORD}))*\b",
    re.I,
)


def write_words_as_digits(text: str) -> str:
    """`text` with each number in words written in digits; "one" alone stays, since it may count nothing."""
    return _PHRASE.sub(_write_digits, text)


def _write_digits(phrase: re.Match[str]) -> str:
    number = None if phrase[0].lower() == "one" else read_number_words(phrase[0])
    return phrase[0] if number is None else str(number)


def read_number_words(text: str) -> int | None:
    """The whole number that `text` writes in words; None if it writes none, or does not end there."""
    words = [word for word in re.split(r"[\s-]+", text.lower().replace(",", " ")) if word]
    negative = words[:1] in (["minus"], ["negative"])
    words = words[negative:]
    if not words or words[0] == "and" or words[-1] == "and":
        return None
    total, limit = 0, 10**15
    if "hundred" in words and (many := _read_below_thousand(words[: words.index("hundred")], is_after=False) or 0) > 9:
        rest = words[words.index("hundred") + 1 :]  # "fifteen hundred and twelve"
        below = _read_below_thousand(rest, is_after=True) if rest else 0
        if many > 99 or many % 10 == 0 or below is None or below > 99:
            return None
        return (-1 if negative else 1) * (100 * many + below)
    while words:  # each round takes what stands before one scale: "two hundred and four" thousand
        place = next((i for i, word in enumerate(words) if word in SCALES), len(words))
        scale = SCALES[words[place]] if place < len(words) else 1
        part = _read_below_thousand(words[:place], is_after=total > 0)
        if part is None or scale >= limit or (part == 0 and (total > 0 or scale > 1)):
            return None
        total, limit, words = total + part * scale, scale, words[place + 1 :]
    return -total if negative else total


def _read_below_thousand(words: list[str], is_after: bool) -> int | None:
    """The number below a thousand that `words` are; "and" may stand after hundreds, or first after a larger part."""
    hundreds = 0
    if "hundred" in words:
        place = words.index("hundred")
        before = words[:place]
        hundreds = 1 if before == ["a"] else _SMALL.get(before[0], 0) if len(before) == 1 else 0
        if not 1 <= hundreds <= 9:
            return None
        words = words[place + 1 :]
        if not words:
            return 100 * hundreds
    elif words == ["a"]:
        return 1
    if words[:1] == ["and"] and (hundreds or is_after):
        words = words[1:]
    match words:
        case [word] if word in _SMALL and not (hundreds and word == "zero"):
            return 100 * hundreds + _SMALL[word]
        case [word] if word in _TENS:
            return 100 * hundreds + _TENS[word]
        case [tens, unit] if tens in _TENS and 1 <= _SMALL.get(unit, 0) <= 9:
            return 100 * hundreds + _TENS[tens] + _SMALL[unit]
    return None
