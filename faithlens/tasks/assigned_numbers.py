r"""Sentences that give several names a number each ("x = 5, y = 7"): only the one that is asked for is an answer.

1. An assignment is a name, "=" or ":", and what follows up to the next assignment: "x = 2 + 3 = 5" gives x the value 5.
2. Names that a sentence only starts from are left out: "with n = 4, S = 10" is about S.
3. A letter that gets several numbers ("x = 3, x = -3") has none.
4. A sentence that concludes ("x = 5, so y = 7"), or whose last name is that of a result ("a = 5, total = 12"), has one
   answer and not several.
5. Of several values, the answer is that of the only name that stands where the question asks: "What is x?".

For example, `read_assignments("x = 5 and y = 7")` is `{"x": 5, "y": 7}`; of "x + y = 12" it is empty.
"""

import re

from faithlens.tasks.larger_expressions import is_operand
from faithlens.tasks.values import DecimalMark, Value, find_values

_LONGEST_SENTENCE = 1_000  # characters that are read, from the end
_NEAR = 40  # characters before a name that say whether it is given, or part of a larger expression
_ASSIGNED = re.compile(r"(?<![\w\\^_'’])(?P<name>[A-Za-z]\w*)\}?\s*[=:]\s*(?=[\\$€£({\[]*[-−–+]?[\\$€£({\[]*[.]?[0-9])")
_NO_NAME_BEFORE = re.compile(r"[-+−–*/×÷·⋅^=<>≤≥]\s*$|[0-9]\s+$")  # in "3 hens = 3" a hen is only what is counted
_GIVEN = re.compile(
    r"\b(?:with|when|where|for|if|at|let|since|as|given|because|using|substitut\w+|assum\w+|suppose|say|plug\w*)"
    r"\s+(?:that\s+)?[\\$(]*$",
    re.I,
)
_CONCLUDES = re.compile(
    r"\b(?:so|thus|hence|then|therefore|which|giving|means?|get|gives|now|finally|total)\b|→|->|⇒|=>", re.I
)
_RESULT = re.compile(r"(?:total|sum|result|answer|ans|difference|product|altogether|final|check)s?", re.I)
_ASKS = re.compile(
    r"\b(?:what(?:['’]s|\s+is|\s+are|\s+does)?|which|find|determine|compute|calculate|solve\s+for|value\s+of|how\s+(?:many|much)"
    r"|give)\b",
    re.I,
)


def read_assignments(sentence: str, decimal_mark: DecimalMark = ".") -> dict[str, Value | None]:
    """The names in `sentence` that get a number, and their numbers; empty unless there are several different ones.

    A letter that gets several numbers has None; of another name the last counts.
    """
    sentence = sentence[-_LONGEST_SENTENCE:]
    assigned = [
        match
        for match in _ASSIGNED.finditer(sentence)
        if not _NO_NAME_BEFORE.search(sentence, max(0, match.start() - _NEAR), match.start())
        and not _GIVEN.search(sentence, max(0, match.start() - _NEAR), match.start())
    ]
    values: dict[str, Value | None] = {}
    ends = [*(each.start("name") for each in assigned), len(sentence)][1:]
    for match, end in zip(assigned, ends, strict=True):
        if (value := _read_last(sentence[match.end() : end], decimal_mark)) is not None:
            name = match["name"]
            values[name] = value if len(name) > 1 or values.get(name, value) == value else None
    if (len(set(values.values())) < 2 and None not in values.values()) or _RESULT.fullmatch(assigned[-1]["name"]):
        return {}
    between, rest = sentence[assigned[-2].end() : assigned[-1].start("name")], sentence[assigned[-1].end() :]
    goes_on = re.search("[A-Za-z]", rest[: max(0, rest.rfind("="))])  # "x = 5 and y = 7, x + y = 12"
    return {} if goes_on or _CONCLUDES.search(between) else values


def select_asked(values: dict[str, Value | None], question: str) -> Value | None:
    """The value of the only name of `values` that `question` asks for; None where it asks for none or for several."""
    questions = [match.end() for match in _ASKS.finditer(question)]
    named = [
        name
        for name in values
        if questions and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question[questions[-1] :])
    ]
    return values[named[0]] if len(named) == 1 else None


def _read_last(text: str, decimal_mark: DecimalMark) -> Value | None:
    """The first number after the last "=" of `text`, if nothing is calculated with it."""
    text = text[text.rfind("=") + 1 :]
    first = next((each for each in find_values(text, decimal_mark) if each.value.is_number), None)
    return first.value if first and not is_operand(text, first.start, first.stop) else None
