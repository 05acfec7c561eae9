"""The answers that a piece of text names, by an option's label or by its content.

1. A label counts where it cannot be a word of the sentence: in brackets, or at the end of a clause.
2. A content counts as a whole: "dark red" does not name "red" if both are offered, and 12.5 does not name 12.
3. If a "not", "never" or "neither" belongs to the sentence, it names nothing.
4. If two answers are named, none is taken.

For example, with the options (A) red, (B) dark red and (C) blue::

    read_concluded_name("So it must be dark red.", question)    "B"
    read_concluded_name("It is not blue.", question)            None: it is negated
    read_concluded_name("It is red or blue.", question)         None: two answers are named
"""

import re
from collections.abc import Iterable

from faithlens.tasks.concluded_number import read_concluded_number, read_leading_number
from faithlens.tasks.question import Question
from faithlens.tasks.stated_moment import read_concluded_moment, read_stated_moment
from faithlens.tasks.values import Value, find_values, read_value

_OPENING = r"(?:[\s*_$\"'“‘\[{]|\\[(\[]|(?i:option |choice |letter ))*"
_AFTER = r"(?=\s*(?:[.,:;!?*_$\"'”’)\]}–—]|\\[)\]]|$|\n|-\s|(?:because|since|as|rather than|instead of)\b))"
_NEGATION = re.compile(r"\b(?:not|neither|nor|never|cannot|isn['’]t|wasn['’]t|can['’]t|doesn['’]t)\b", re.I)
_TURN = re.compile(r"[,;:]?\s(?:so|but|hence|thus|therefore)\b", re.I)
_COMES_TO = (
    r"(?:(?i:\b(?:so|hence|thus|therefore|consequently)),?\s+(?:(?i:it (?:is|must be))\s+)?"
    r"|^\W*(?i:(?:so |hence |thus )?it (?:is|must be|has to be|should be|can only be))\s+"
    r"(?i:(?:clearly|therefore|thus) )?)"
)
"""What a last sentence says before its answer: "..., so", "It has to be"."""
VERDICTS = frozenset({"yes", "no", "true", "false", "valid", "invalid"})
"""Answers that are words of any sentence, so they count only where a phrase ends."""

_BESIDE = re.compile(r"^[\s).:\]}*_$=–—-]*(?:,? which is |, (?:i\.e\.|that is),? )?")  # between a label and its content
_IS_SUBJECT = re.compile(r"\S+\s(?:is|was|are|were|would|does|do|has|have|can|cannot|will)\b")  # "B. 3 is too small"
_PROSE = frozenset({"A", "a", "I", "i"})  # words of any English sentence, so never a name in one


def read_leading_name(statement: str, question: Question, is_boxed: bool = False) -> str | None:
    """The candidate a statement names: the label or the content it begins with, else the only content in it."""
    names = map_names(question)
    exact = statement.strip(" *_.$()\"'")
    for name, answer in (*((label, label) for label in question.candidates), *names.items()):
        if exact == name and (exact != "I" or "(I)" in statement or is_boxed):
            return answer
    if label := _match_leading_label(statement, question):
        return label[1].upper()
    first = re.match(rf"{_OPENING}{make_names_pattern(names)}", statement, re.I)
    named = _find_named(first[0] if first else statement, names, re.I)
    if not named:  # "15.0" where an option is "15", "May 3, 2021" where one is "3 May 2021"
        value = read_leading_number(statement, question) or read_stated_moment(statement)
        named = _find_valued(value, names, question)
    return named.pop() if len(named) == 1 else None


def read_concluded_name(sentence: str, question: Question) -> str | None:
    """The candidate that a concluding sentence names without saying that it is the answer."""
    if question.choices:
        names = make_names_pattern(question.choices)
        answer = rf"(?i:option |the )?(?:({make_labels_pattern(question)})|({names}))"
        came_to = rf"{_COMES_TO}{answer}[\s*_$)\].!]*$"
        if (last := re.search(came_to, sentence)) and last[1] != "I" and not _NEGATION.search(sentence):
            by_case = {name.casefold(): answer for name, answer in map_names(question).items()}
            return last[1] or map_names(question).get(last[2]) or by_case[last[2].casefold()]
        bare = re.fullmatch(rf"[\s*_$(\[]*({make_labels_pattern(question)})[\s*_$)\].:,]*", sentence)
        labels = set(re.findall(rf"\(({make_labels_pattern(question)})\)", sentence))
        if bare and (bare[1] != "I" or labels):
            return bare[1]
        if labels:
            return labels.pop() if len(labels) == 1 and not _NEGATION.search(sentence) else None
    names = map_names(question)
    named = _find_named(sentence, names)
    if not named and not _NEGATION.search(sentence):
        value = read_concluded_number(sentence, question) or read_concluded_moment(sentence)
        named = _find_valued(value, names, question)
    return named.pop() if len(named) == 1 else None


def _match_leading_label(statement: str, question: Question) -> re.Match[str] | None:
    """The label that a statement begins with, as group 1."""
    if not question.choices:
        return None
    labels = make_labels_pattern(question)
    bracketed = re.match(rf"{_OPENING}\(((?i:{labels}))\)", statement)
    label = bracketed or re.match(rf"{_OPENING}({labels}){_AFTER}", statement)
    return label if bracketed or (label and label[1] != "I") else None


def offers_names(statement: str, question: Question) -> bool:
    """Whether a statement begins with several answers: "(A) or (B)", "red, blue", "(A) red" where red is (B)."""
    labels, names = make_labels_pattern(question), make_names_pattern(map_names(question))
    several = r"(?:maybe |possibly |perhaps |even |also )?(?:the )?"
    label = rf"(?:\((?i:{labels})\)|(?:{labels})\b)[)\]*]*"
    listed = rf"\s*[,;]?\s*(?:[/&+]|\band\b)\s*{several}|\s*[,;]\s*"
    ends = r"(?=[\s)\]}$*_.!]*$|\s*[,;/&+]|\s+(?:and|or)\b)"
    pairs = rf"{label}(?:\s*,?\s*or\b|(?:{listed}){label}{ends})"
    contents = rf"(?:the\s+)?{names}(?:\s*[,(]?\s*or\s+{several}{names}|(?:{listed}){names}{ends})"
    if re.match(rf"{_OPENING}(?:either\s+)?(?:{pairs}|{contents})", statement):
        return True
    return _contradicts_label(statement, question)


def _contradicts_label(statement: str, question: Question) -> bool:
    """Whether a statement begins with the label of one option and the content of another, in either order."""
    if label := _match_leading_label(statement, question):
        rest = _BESIDE.sub("", statement[label.end() :])
        named = set[str]() if _IS_SUBJECT.match(rest) else _find_leading_content(rest, question)
        return bool(named) and label[1].upper() not in named
    labels = make_labels_pattern(question)
    label = re.search(rf"\s\(({labels})\)[\s)\]}}$*_.!]*$", statement) if question.choices else None
    named = _find_leading_content(statement[: label.start()], question) if label else set[str]()
    return bool(label and named and label[1] not in named)


def _find_leading_content(text: str, question: Question) -> set[str]:
    """The answers whose content `text` begins with, as it is written or by its value."""
    names = map_names(question)
    if (value := read_leading_number(text, question)) is not None:
        return _find_valued(value, names, question)
    words = {name: answer for name, answer in names.items() if read_value(name, question.decimal_mark) is None}
    first = re.match(rf"{_OPENING}{make_names_pattern(words)}", text, re.I)
    return _find_named(first[0], words, re.I) if first else set()


def mentions_answer(text: str, question: Question, answer: str) -> bool:
    """Whether `answer` stands anywhere in `text`: its label in brackets, its content, or its value.

    `answer` is a candidate of the question, or of a free-form question any answer that a model gave.
    """
    names = {label: content for content, label in map_names(question).items()}
    content = names.get(answer, answer)
    value = read_value(content, question.decimal_mark)
    return (
        (value is not None and any(stated.value == value for stated in find_values(text, question.decimal_mark)))
        or (bool(question.choices) and f"({answer})" in text)
        or bool(re.search(make_names_pattern([content]), text, re.I))
    )


def map_names(question: Question) -> dict[str, str]:
    """The candidates by the name that a sentence may use for them besides the label: the content of the option."""
    return dict(zip(question.choices or question.candidates, question.candidates, strict=True))


def make_labels_pattern(question: Question) -> str:
    """A pattern for any of the candidates."""
    return "|".join(map(re.escape, sorted(question.candidates, key=len, reverse=True)))


def make_names_pattern(names: Iterable[str]) -> str:
    """A pattern that matches any of `names` as a whole.

    "dark red" does not match "red" if both are names, 12.5, 12:30 and 1/12 do not match 12, and "12:30 a.m." does not
    match "12:30".
    """
    longest_first = sorted((name for name in names if name not in _PROSE), key=len, reverse=True)
    if not longest_first:
        return r"(?!)"  # matches nothing
    whole = "|".join(map(_make_name_pattern, longest_first))
    return rf"(?<![\w.\-−])(?<![0-9][:/⁄])(?:{whole})(?!\w|['’]s\b|[.,\-−:/⁄][0-9]|(?<=[0-9])\s?[ap]\.?m\b)"


def _make_name_pattern(name: str) -> str:
    """A pattern for `name`; yes, no and the like match in any case, and only at the end of a phrase."""
    if name.casefold() in VERDICTS:
        return rf"(?i:{name})(?=\s*(?:[.,;:!?*_$\"'”’)\]}}–—]|\\|$|and\b|or\b))"
    return re.escape(name)


def _find_valued(value: Value | None, names: dict[str, str], question: Question) -> set[str]:
    """The answers whose content has this value."""
    if value is None:
        return set()
    return {answer for name, answer in names.items() if read_value(name, question.decimal_mark) == value}


def _find_named(sentence: str, names: dict[str, str], flags: int = 0) -> set[str]:
    """The answers whose content stands in `sentence` and is not negated there."""
    named: set[str] = set()
    by_case = {name.casefold(): answer for name, answer in names.items()}
    for match in re.finditer(make_names_pattern(names), sentence, flags):
        verdict = match[0].casefold() in VERDICTS
        turns = [turn.end() for turn in _TURN.finditer(sentence, 0, match.start())] if verdict else []
        if _NEGATION.search(sentence, max(turns, default=0), match.start() if verdict else len(sentence)):
            return set()
        named.add(names.get(match[0]) or by_case[match[0].casefold()])
    return named
