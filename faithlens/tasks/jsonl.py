"""Questions of the user's own, from a JSON-lines file: checked whole before any is used.

Each line is an object::

    {"question": "...", "choices": ["12", "15", "9"], "answer": "B"}        the answer as a label or as an option
    {"question": "...", "answer": "15", "values": ["12", "15"]}             open, a number: near misses are made
    {"question": "...", "answer": "blue", "candidates": ["blue", "red"]}    open, the answers to score

`id` names a question, else its line does; `values` are the true intermediate values where they are known.
"""

import json
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError, nearest
from faithlens.tasks.build import MOST_OPTIONS, BadEntryError, choice_question, open_question
from faithlens.tasks.listed import Listed
from faithlens.tasks.question import Question
from faithlens.tasks.stems import labels

_KEYS = ("question", "answer", "choices", "candidates", "values", "id")
_MOST_REPORTED = 10


class JsonLines(Listed):
    """The questions of one file.

    Raises TaskError where the file cannot be read, is empty, mixes forms, or has broken lines (the first ten named).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        super().__init__(str(self.path), _load(self.path))


def _load(path: Path) -> list[Question]:
    asked = f"questions from {path}"
    questions: dict[str, Question] = {}
    texts: dict[tuple[str, tuple[str, ...]], str] = {}
    faults: list[str] = []
    for number, line in _lines(path):
        try:
            question = _question(line, f"line-{number}")
            _refuse_repeats(question, questions, texts)
        except BadEntryError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        more = [f"and {len(faults) - _MOST_REPORTED} more"] if len(faults) > _MOST_REPORTED else []
        found = "\n       ".join([f"{len(faults)} bad line(s); nothing was loaded", *faults[:_MOST_REPORTED], *more])
        raise TaskError(asked, found, 'mend these lines; the least is {"question": "...", "answer": "12"}')
    if not questions:
        raise TaskError(asked, "no questions in it", 'write one object a line: {"question": "...", "answer": "12"}')
    return list(questions.values())


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1; only a line feed ends a line, as JSON lines has it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaskError(f"questions from {path}", error.strerror or str(error), "check the path") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"questions from {path}", f"not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _refuse_repeats(
    question: Question, questions: dict[str, Question], texts: dict[tuple[str, tuple[str, ...]], str]
) -> None:
    """Enter `question` among those before it, whose form it must share and whose id and wording it must not."""
    if question.id in questions:
        raise BadEntryError(f"id {question.id!r} stands on an earlier line too; give each question its own")
    if (wording := (question.text, question.choices)) in texts:
        raise BadEntryError(f"the same question as {texts[wording]!r}; remove one of them")
    form = next(iter(questions.values()), question).form
    if question.form != form:
        raise BadEntryError(
            f"of form {question.form!r} after questions of form {form!r}; keep each form in its own file"
        )
    questions[question.id] = question
    texts[wording] = question.id


def _question(line: str, default_id: str) -> Question:
    entry = _object(line)
    text, answer = _text(entry, "question"), _text(entry, "answer")
    id_ = _text(entry, "id") if "id" in entry else default_id
    values = _texts(entry, "values", least=0, distinct=False)
    if "choices" in entry:
        if "candidates" in entry:
            raise BadEntryError(
                "both 'choices' and 'candidates'; keep 'choices' for options, 'candidates' for an open form"
            )
        choices = _texts(entry, "choices", least=2)
        return choice_question(id_, text, choices, _right(answer, choices), values)
    candidates = _texts(entry, "candidates", least=2) if "candidates" in entry else ()
    return open_question(id_, text, answer, values, candidates)


def _object(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadEntryError(f"not JSON: {error.msg} at column {error.colno}; write one object on the line") from error
    if not isinstance(entry, dict):
        raise BadEntryError(f"a {type(entry).__name__}; write an object in braces")
    for key in entry:
        if key not in _KEYS:
            raise BadEntryError(f"key {key!r} is unknown; {nearest(key, _KEYS)}")
    return entry


def _text(entry: dict[str, Any], key: str) -> str:
    if key not in entry:
        raise BadEntryError(f"no {key!r}; add it")
    return _checked(entry[key], f"{key!r}")


def _texts(entry: dict[str, Any], key: str, least: int, distinct: bool = True) -> tuple[str, ...]:
    """The list under `key` as a tuple, empty where the key is missing."""
    found = entry.get(key, [])
    if not isinstance(found, list) or not (least if key in entry else 0) <= len(found) <= MOST_OPTIONS:
        raise BadEntryError(f"{key!r} is {_short(found)}; write a list of {least} to {MOST_OPTIONS} texts")
    texts = tuple(_checked(item, f"an entry of {key!r}") for item in found)
    if distinct and len(set(texts)) < len(texts):
        raise BadEntryError(f"{key!r} repeats an entry; make them differ")
    return texts


def _checked(value: object, where: str) -> str:
    """`value` where it is a text with something in it that UTF-8 can carry."""
    if not isinstance(value, str):
        raise BadEntryError(f"{where} is {_short(value)}; write a text in double quotes")
    if not value.strip():
        raise BadEntryError(f"{where} is empty; write it out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadEntryError(f"{where} has half of a character (a lone \\ud... escape); write the character itself")
    return value


def _right(answer: str, choices: tuple[str, ...]) -> int:
    """The place of the right option, which the file may give as a label or as the option's content."""
    names = labels(len(choices))
    meant = {place for place, option in enumerate(zip(names, choices, strict=True)) if answer in option}
    if len(meant) == 1:
        return meant.pop()
    if meant:
        raise BadEntryError(f"answer {answer!r} is one option's label and another's content; reword the options")
    raise BadEntryError(f"answer {answer!r} is no option; write one of {', '.join(names)} or an option's content")


def _short(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
