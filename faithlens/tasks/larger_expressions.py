r"""Numbers that are only a part of a larger expression, one that the reader of values (`tasks.values`) cannot read.

A number next to one of the following is no answer by itself, and the whole expression is not read either:

1. A factorial: "5!". A "!" that ends a sentence with words is emphasis: "So she has 5!" comes to 5, "5!" to nothing.
2. A power or an index: "2^10", "10^{-3}", "5**2", "5²", "5ⁿ", "5 squared".
3. A root or another function: "√2", "\sqrt{2}", "3√2", "log 5", "f(5)", "\binom{5}{2}", "|-5|".
4. A multiple of a letter: "2π", "5x", "5 i". Units are several letters, or letters that are usual units: "5cm", "5m".
5. An operation, whatever unit stands before its sign, in words, or without its other side: "x + 3", "12 cm x 5 cm", "5
   mod 3", "twice 5", "5 dozen", "5 ×", "/12".
6. Thousands that plain spaces part, which may be several numbers: "1 000 000"; and "5; 7".
7. An uncertainty, a chance or a share: "5 ± 1", "1 in 5", "20% of 60". An approximation counts as its number: "≈ 5",
   "about 5".
8. Digits that go on: "0.33...", "0.\overline{3}", "0.(3)".

A bound is another value than its number (`is_bound`): "> 5", "≤5", "5+", "more than 5", "at least 5", "5 or fewer",
"twice as many as 5". So is a distance (`is_distance`): "5 more than Tom has", "5 times as many".

For example, `is_operand("2^10 = 1024", 0, 1)` and `is_operand("√16 = 4", 1, 3)` hold, and `is_operand("√16 = 4", 6, 7)`
does not.
"""

import re

GOES_ON = r"\s?(?:\.{2}|…|\\[lc]?dots)"
"""A pattern for what says that the digits before it go on without end."""

_NEAR = 60  # characters on each side that are looked at
_SIGN = r"\s*[-−–+]?\s*"
_DECORATIONS = r"boxed|fbox|mbox|hbox|text\w*|math\w+|bm|boldsymbol|emph|underline|color|left|right|[bB]ig+[lr]?"
_FUNCTIONS = r"sqrt|cbrt|log|ln|lg|exp|sin|cos|tan|arcsin|arccos|arctan|gcd|lcm|floor|ceil|abs|max|min|det|lim"
_PLUS_MINUS = r"±|∓|\\pm\b|\\mp\b|\+/-"
_DASH = "[-−–‑]"
_MULTIPLIES = r"(?:[×÷·⋅]|\\times\b|\\div\b|\\cdot\b)"
_OPERATOR = rf"(?:[+*/^]|{_DASH}|{_MULTIPLIES}|x(?=\s?[0-9(]))"
_OPERATOR_AFTER_UNIT = rf"[^\S\n]*(?:[+/]|\*\s|{_MULTIPLIES}|\bx\b)"
_OPERATES = r"(?i:mod(?:ulo)?|choose|times|plus|minus|less|divided by|multiplied by)"
_OTHER_SIDE = r"\s*\\?[$€£(]*"
_VARIABLE = r"[A-Za-zα-ω](?<![aAI])(?![\w'’])"
_NO_NOUN = (
    r"(?i:is|are|was|were|be|to|of|at|in|on|for|from|with|without|and|or|but|so|then|than|that|which|who|where|when|while"
    r"|if|as|because|since|after|before|it|he|she|they|we|equals?|gives?|makes?|leaves?|has|have|had|not|no|hence|thus|x"
    r"|therefore|by|plus|minus|times|over|more|less|fewer)\b"
)
# what a number counts: a unit, or up to three words none of which is a verb or a preposition
_COUNTED = rf"(?:(?:\s|\\[,;: ]|~)*+(?:[€$£%°]|(?!{_NO_NOUN})[^\W\d_]++(?:[²³]|\^\{{?[23]\}}?)?)){{0,3}}"

_BEFORE = re.compile(
    rf"(?:[\^_]\{{?\(?|(?<=[\w)}}])\*\*\(?|[√∛∜]\(?|(?:{_PLUS_MINUS})|\\?\b(?:{_FUNCTIONS})(?:_\{{?\w+\}}?)?[\s({{]*"
    rf"|(?<![A-Za-z\\])(?:\\operatorname\{{)?\w*[A-Za-z]\}}?\("
    rf"|\\(?!(?:{_DECORATIONS})\b)[A-Za-z]+\s*(?:\[[^\]]*\])?\{{"
    rf"|\\(?!(?:{_DECORATIONS})\b)[A-Za-z]+\s*\{{[^{{}}]*\}}\s*\{{"
    r"|(?:^|[\s({\[$])/|[0-9][.,][0-9]*\("
    rf"|[0-9)}}]\s*{_OPERATOR}{_OTHER_SIDE}|[0-9)}}]{_COUNTED}(?:{_OPERATOR_AFTER_UNIT}|\s+{_OPERATES}\s){_OTHER_SIDE}"
    rf"|(?<![\w'’\\]){_VARIABLE}\s*{_OPERATOR}{_OTHER_SIDE}|[A-Za-z]\s*{_MULTIPLIES}{_OTHER_SIDE}"
    r"|\b(?i:twice|thrice|double|triple|half(?: of)?|(?:square|cube|root|factorial|log|logarithm) of))"
    rf"{_SIGN}$"
)
_AFTER = re.compile(
    r"\s?\^(?!\s*\{?\s*\\circ\b)|\*\*[-−+({\w]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿⁱˣʸᶻᵏᵐᵃᵇ₀₁₂₃₄₅₆₇₈₉]|\s?[√∛∜πθ∞]"
    rf"|\s?\\(?:pi|theta|infty|binom|sum|int|{_FUNCTIONS})\b"
    rf"|\s?(?:pi\b|(?:{_FUNCTIONS})\s?[({{]|(?:log|ln|sin|cos|tan)\s[0-9a-z])|[abijnqxyz](?![\w'’-])|\s[ixyz](?![\w'’-])"
    rf"|\s*(?:{_PLUS_MINUS})|\s*(?:[×÷/]|\\times|\\div|\\cdot|[-−+](?!\w))[\s)}}\]$]*[.!]?$"
    r"|\s+(?i:squared|cubed|factorial|dozens?|hundreds?|to the (?:power|\w+th)\b|raised to)\b"
    rf"|\s*{_OPERATOR}{_OTHER_SIDE}[0-9(]|\s*(?:[+*^]|{_DASH}|{_MULTIPLIES})\s*{_VARIABLE}"
    rf"|{_COUNTED}(?:{_OPERATOR_AFTER_UNIT}|\s+{_OPERATES}\s){_OTHER_SIDE}[-−]?[0-9(]|\s+over\s+[0-9]"
    rf"|(?P<unit>{_COUNTED})\s*(?:{_DASH}|\bby\b)\s*[$€£]?[0-9]{{1,3}}(?:[.,][0-9]+)?(?P=unit)(?=\s*(?:[=.,;)}}\]$]|$))"
    rf"|\((?:[0-9.]+|{_VARIABLE})\s*[-−+*/^·×]"
    "|[.,]?\\s?\\\\(?:overline|overbar|bar|dot)\\b|[.,]\\([0-9]|[\u0304\u0305\u0307]"
    r"|\s+and\s+(?i:an?|one|two|three)[\s-]+(?i:half|halves|thirds?|quarters?|fourths?)\b"
    r"|\s*;\s*[-−]?[0-9.,]+[\s)}\]]*[.!]?$|(?<![0-9]{4})[^\S\n][0-9]{3}(?![\w-])"
)
_IS_CHANCE = re.compile(r"1\s+in\s+[0-9]+[\s.!)}\]$]*$")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_ENDS_SENTENCE = re.compile(r"!+(?:[\s*_\"'”’)]*$|[*_\"'”’)]*(?:\n|\s+(?=[A-Z\"“(*])))")

_COMPARED_BEFORE = re.compile(
    rf"(?:[<>≤≥≠]=?|\\(?:[lg]eq?(?:slant)?|[lg]t|neq?)\b"
    rf"|\b(?i:(?:more|less|worse|\w{{2,20}}er) than|as (?!well\b|soon\b|long\b|far\b)\w{{1,20}} as"
    rf"|at (?:the )?(?:least|most)|up to"
    rf"|over|under|above|below|beyond|exceed(?:s|ing)?|nearly|almost|(?:minimum|maximum) of|min\.?|max\.?)\s)"
    rf"{_SIGN}[$€£]?$"
)
_IS_NO_COMPARISON = re.compile(
    rf"(?:[-=]>|<[/A-Za-z][^<>]*>|\b(?i:none|no \w+|nothing) other than\s"
    rf"|\b(?i:add|sum|total|count|come|work|bring|make|round|tak|giv|go)\w*(?:\s\w+)?\s+up\s+to\s"
    rf"|(?:[0-9]|\b(?i:left|carried)\b)\s+over\s){_SIGN}[$€£]?$"
)
_PLUS_AFTER = re.compile(r"\+(?=[\s.,;)}\]]|$)(?!\s*(?:[\\(0-9]|[A-Za-z]\b))")
_BOUND_AFTER = re.compile(
    r"\s+(?:\w+\s+)?(?i:or\s+(?:more|fewer|less|greater|higher|lower|larger|smaller|above|below|up|over|under|so)"
    r"|and\s+(?:above|below|up|over|under)"
    r"|at (?:the )?(?:least|most|minimum|maximum)|(?:minimum|maximum)(?=[.!]|$))\b"
)
_DISTANCE_AFTER = re.compile(
    rf"{_COUNTED}\s+(?i:(?:more|less|(?!rather|other)\w{{2,20}}er)\s+(?:\w{{1,20}}\s+){{0,3}}than"
    r"|times\s+(?:as|the|that|more))\b"
)
_SHARE_AFTER = re.compile(r"\s+of\s+[\\$€£]*[0-9]|\s+(?i:off|discount)\b")
_GROUP_BEFORE = re.compile(r"(?<![\w.,])[0-9]{1,3}(?:[^\S\n][0-9]{3})*[^\S\n]$")


def is_operand(text: str, start: int, stop: int) -> bool:
    """Whether the number from `start` to `stop` in `text` is only a part of a larger expression."""
    start += re.match(_DASH, text[start:stop]) is not None  # the sign belongs to what stands before it
    before, number, after = text[max(0, start - _NEAR) : start], text[start:stop], text[stop : stop + _NEAR]
    if _BEFORE.search(before) or _AFTER.match(after) or _IS_CHANCE.match(text[start : stop + _NEAR]):
        return True
    if re.search(r"%$|[/⁄½¼¾]|frac|percent$", number) and _SHARE_AFTER.match(after):
        return True
    if re.search("[.,][0-9]+$", number) and re.match(rf"{GOES_ON}|\([0-9]", after):
        return True
    if re.search(rf"\|{_SIGN}$", before) and after.startswith("|"):
        return True
    if re.fullmatch("[0-9]{3}", number) and _GROUP_BEFORE.search(before) and not re.match(r"[\w-]", after):
        return True
    return bool(re.match(r"\s?!", after)) and not (_ENDS_SENTENCE.match(after) and _WORD.search(text, 0, start))


def is_bound(text: str, start: int, stop: int) -> bool:
    """Whether the number from `start` to `stop` in `text` is only what the value is compared with."""
    before = text[max(0, start - _NEAR) : start]
    is_compared = _COMPARED_BEFORE.search(before) and not _IS_NO_COMPARISON.search(before)
    return bool(is_compared or _PLUS_AFTER.match(text, stop) or _BOUND_AFTER.match(text, stop))


def is_distance(text: str, stop: int) -> bool:
    """Whether the number that stops at `stop` only says how far the value is from another."""
    return _DISTANCE_AFTER.match(text[stop : stop + _NEAR]) is not None
