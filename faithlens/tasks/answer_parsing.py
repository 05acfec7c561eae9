"""Read the answer that a text states, for chains of thought and replies in any format.

1. Collect the statements of an answer: "The answer is (B).", ``\\boxed{12}``, "#### 12", "(B) is correct".
2. Return the answer of the last statement that can be read, since models correct themselves.
3. If no statement can be read, read the concluding sentence: the last step, or the last step with a number.
4. There, an option's label or content counts only if it is the only one named and is not negated.
5. Otherwise return None; the parser never guesses, and two missing answers are not the same answer.

Example::

    question = Question("q", "?", ("A", "B", "C"), "B", ("12", "15", "9"))
    parse_answer("The answer is (A). Wait, no: 12 + 3 = 15. The answer is (B).", question)  # "B": the last statement
    parse_answer("It is 12 or 15.", question)  # None: two options are named
    parse_answer("It is not 15.", question)  # None: the only option is negated
    parse_answer("The answer choices are given.", question)  # None: nothing is stated
"""

import re
from collections.abc import Iterable, Iterator

from faithlens.tasks.numbers import NUMBER_PATTERN, find_stated_number, is_number, normalise_number
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import is_same_answer

_LEAD = re.compile(
    r"\b(?:answer|option|choice)\b(?: to [^.\n]{1,80}?)?[*_\"'’]*\s*"
    r"(?:\b(?:is|would be|should be|must be|will be)\b|[:=])[*_]*(?:\s*[:=])?|####",
    re.I,
)
_CALLED_RIGHT = re.compile(
    r"\s*(?:option|choice|answer)?\s*(?:is|was)\s+(?:clearly |therefore |thus )?(?:the )?(?:correct|right|best)\b"
)
_BOXED = re.compile(r"\\boxed\s*\{")
_WRAPPER = re.compile(r"^\\(?:text|mathrm|mathbf|textbf)\s*\{(.*)\}$", re.S)
_OPENING = r"(?:[\s*_$\"'“‘\[{]|\\[(\[]|\\(?:text|mathrm|mathbf|textbf)\{|(?i:option |choice |letter ))*"
_AFTER = r"(?=\s*(?:[.,:;!?*_$\"'”’)\]}–—]|\\[)\]]|$|\n|-\s|(?:because|since)\b))"
_NEGATION = re.compile(r"\b(?:not|neither|nor|never|cannot|isn['’]t|wasn['’]t|can['’]t|doesn['’]t)\b", re.I)
_VERDICTS = frozenset({"yes", "no", "true", "false", "valid", "invalid"})
_PROSE = frozenset({"A", "a", "I", "i"})  # words of any English sentence, so never a name in one
_NUMBER = re.compile(
    r"(?:[\s*_(\[{$€£]|\\[(\[$]|\\(?:text|mathbf)\{)*"  # what may stand before it
    rf"([-−]?)[$€£]?({NUMBER_PATTERN})(?![0-9/]|\s*[-+*/×÷−=^]\s*[0-9(])"
)
_UNFINISHED = re.compile(rf"\\[dt]?frac|[0-9)]\s*[-−+*/×÷^]\s*[$€£(]*{NUMBER_PATTERN}(?![^0-9]*[0-9])", re.S)


def parse_answer(text: str, question: Question) -> str | None:
    """The answer to `question` that `text` states, as one of its candidates; None where none can be read.

    An open question whose answer is a number takes any number, in plain notation where it is no candidate. Of a text
    that was cut off, what is read is what it says where it ends.
    """
    read = _read_number if question.form == "open" and is_number(question.answer) else _read_name
    for statement in _find_statements(text, question):
        if (answer := read(statement, question)) is not None:
            return answer
    steps = [text[start:stop] for start, stop in split_steps(text)]
    if read is _read_name:
        return _read_conclusion(steps[-1], question) if steps else None
    last = next((step for step in reversed(steps) if find_stated_number(step) or normalise_number(step)), "")
    return _match_candidate(number, question) if (number := _read_result(last)) else None


def find_boxed(text: str) -> str | None:
    r"""What the last \boxed{...} of `text` holds, without a wrapper such as \text; None where there is none."""
    boxes = list(_BOXED.finditer(text))
    return _take_braced(text, boxes[-1].end()) if boxes else None


def _find_statements(text: str, question: Question) -> Iterator[str]:
    """What the text says its answer is, the last first: each to the end of its sentence."""
    found = [(match.start(), _take_sentence(text, match.end())) for match in _LEAD.finditer(text)]
    found += [(match.start(), f"\\boxed{{{_take_braced(text, match.end())}}}") for match in _BOXED.finditer(text)]
    if question.choices:
        bare = rf"(?<![\w(])(?:(?i:option |choice ))?(\(?(?:{_make_labels_pattern(question)})\)?)(?![\w)])"
        named = ((match, _CALLED_RIGHT.match(text, match.end())) for match in re.finditer(bare, text))
        found += [(match.start(), match[1]) for match, right in named if right and match[1] != "I"]
    return (statement for _, statement in sorted(found, key=lambda item: item[0], reverse=True))


def _take_sentence(text: str, start: int) -> str:
    """The first sentence at or after `start`, white space before it left out."""
    rest = text[start:].lstrip()
    return rest[slice(*split_steps(rest)[0])].strip() if rest else ""


def _take_braced(text: str, start: int) -> str:
    """What stands between the brace before `start` and the one that closes it, without a wrapper such as \\text."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return _WRAPPER.sub(r"\1", text[start:end].strip()).strip()
    return ""


def _read_number(statement: str, question: Question) -> str | None:
    """The number a statement gives: the one it begins with, else the result of the calculation it holds."""
    statement = find_boxed(statement) or statement
    first = _NUMBER.match(statement)
    number = first[1] + first[2] if first else _read_result(statement)
    return _match_candidate(number, question) if number else None


def _read_result(step: str) -> str | None:
    """The number a step comes to; None where its last number is but a part of a calculation or fraction."""
    if (whole := normalise_number(step)) is not None:
        return whole
    return None if _UNFINISHED.search(step.rpartition("=")[2]) else find_stated_number(step)


def _match_candidate(number: str, question: Question) -> str | None:
    """The candidate of this value in its own notation, else the number in plain notation."""
    return next((c for c in question.candidates if is_same_answer(c, number)), normalise_number(number))


def _read_name(statement: str, question: Question) -> str | None:
    """The candidate a statement names: the label or the content it begins with, else the only content in it."""
    inside = find_boxed(statement)
    statement = inside or statement
    names, labels = _map_names(question), _make_labels_pattern(question)
    exact = statement.strip(" *_.$()\"'")
    for name, answer in (*((label, label) for label in question.candidates), *names.items()):
        if exact == name and (exact != "I" or "(I)" in statement or inside):
            return answer
    another = rf"(?![)\]*]*\s*(?:or\b|(?:and|/|&)\s*\(?(?:{labels})\b))"
    label = re.match(rf"{_OPENING}(?:\(((?i:{labels}))\)|({labels}){_AFTER}){another}", statement)
    if question.choices and label and label[2] != "I":
        return (label[1] or label[2]).upper()
    first = re.match(rf"{_OPENING}{_make_names_pattern(names)}(?!,?\s*(?:or|and)\b|\s*[/&])", statement, re.I)
    named = _find_named(first[0] if first else statement, names, re.I)
    number = _NUMBER.match(statement)
    if number and not named:  # "15.0" where an option is "15"
        named = {answer for name, answer in names.items() if is_same_answer(name, number[1] + number[2])}
    return named.pop() if len(named) == 1 else None


def _read_conclusion(sentence: str, question: Question) -> str | None:
    """The candidate that a concluding sentence names without saying that it is the answer."""
    if question.choices:
        bare = re.fullmatch(rf"[\s*_$(\[]*({_make_labels_pattern(question)})[\s*_$)\].:]*", sentence)
        labels = set(re.findall(rf"\(({_make_labels_pattern(question)})\)", sentence))
        if bare and (bare[1] != "I" or labels):
            return bare[1]
        if labels:
            return labels.pop() if len(labels) == 1 and not _NEGATION.search(sentence) else None
    named = _find_named(sentence, _map_names(question))
    return named.pop() if len(named) == 1 else None


def _make_labels_pattern(question: Question) -> str:
    return "|".join(map(re.escape, sorted(question.candidates, key=len, reverse=True)))


def _map_names(question: Question) -> dict[str, str]:
    """What each answer may be called in a sentence, besides its label."""
    return dict(zip(question.choices or question.candidates, question.candidates, strict=True))


def _find_named(sentence: str, names: dict[str, str], flags: int = 0) -> set[str]:
    """The answers whose content stands in `sentence` and is not negated there."""
    found: set[str] = set()
    by_case = {name.casefold(): answer for name, answer in names.items()}
    for match in re.finditer(_make_names_pattern(names), sentence, flags):
        verdict = match[0].casefold() in _VERDICTS
        if _NEGATION.search(sentence, 0, match.start() if verdict else len(sentence)):
            return set()
        found.add(names.get(match[0]) or by_case[match[0].casefold()])
    return found


def _make_names_pattern(names: Iterable[str]) -> str:
    """A pattern for any of `names` on its own: not the "red" of "dark red" where both are names, nor the 12 of 12.5."""
    longest_first = sorted((name for name in names if name not in _PROSE), key=len, reverse=True)
    if not longest_first:
        return r"(?!)"  # matches nothing
    return rf"(?<![\w.\-−])(?:{'|'.join(map(_make_name_pattern, longest_first))})(?!\w|[.,\-−][0-9])"


def _make_name_pattern(name: str) -> str:
    """A pattern for `name`; yes, no and their like in either case, and only where they do not begin a phrase."""
    if name.casefold() in _VERDICTS:
        return rf"(?i:{name})(?=\s*(?:[.,;:!?*_$\"'”’)\]}}–—]|\\|$|and\b|or\b))"
    return re.escape(name)
