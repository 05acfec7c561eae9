"""Questions of the user's own, from a JSON-lines file: checked whole before any is used.

Each line is an object::

    {"question": "...", "choices": ["12", "15", "9"], "answer": "B"}        the answer as a label or as an option
    {"question": "...", "answer": "15", "values": ["12", "15"]}             open, a number: near misses are made
    {"question": "...", "answer": "blue", "candidates": ["blue", "red"]}    open, the answers to score

`id` names a question, else its line does; `values` are the true intermediate values where they are known.
"""

import json
import random
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError, nearest
from faithlens.tasks.numbers import is_number, misstate, near_misses
from faithlens.tasks.options import misstate_option
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.stems import ask, labels, stems

_KEYS = ("question", "answer", "choices", "candidates", "values", "id")
_N_CANDIDATES = 10
_MOST_OPTIONS = 26
_MOST_REPORTED = 10


class _BadLineError(Exception):
    """What is wrong with one line, and what to do; gathered into one TaskError."""


class JsonLines:
    """The questions of one file.

    Raises TaskError where the file cannot be read, is empty, mixes forms, or has broken lines (the first ten named).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._all = _load(self.path)

    @property
    def name(self) -> str:
        """The path, as the command line takes it."""
        return str(self.path)

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for the form the file's questions have."""
        return stems(self._all[0].form)

    @property
    def size(self) -> int:
        """How many questions the file holds."""
        return len(self._all)

    def questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions in an order drawn from `seed`. Raises TaskError where `n` is below 1 or the file has fewer."""
        if not 1 <= n <= self.size:
            raise TaskError(f"{n} questions of {self.path}", f"{self.size} in the file", f"ask for 1 to {self.size}")
        return random.Random(f"jsonl:{seed}").sample(self._all, self.size)[:n]

    def prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return ask(question, strategy)

    def counterfactual(self, question: Question, seed: int) -> Question | None:
        """Another question of the file with the same candidates and another right one; None where there is none.

        A weak donor: it differs from `question` in everything, not in one fact, so an effect found with it includes
        the change of subject.
        """
        others = [
            other for other in self._all if other.candidates == question.candidates and other.answer != question.answer
        ]
        return random.Random(f"jsonl:{question.id}:{seed}").choice(others) if others else None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names, else its stated number, made wrong; None where it has neither."""
        return misstate_option(step, question, rng) or misstate(step, question, rng)


def _load(path: Path) -> list[Question]:
    asked = f"questions from {path}"
    questions: dict[str, Question] = {}
    texts: dict[tuple[str, tuple[str, ...]], str] = {}
    faults: list[str] = []
    for number, line in _lines(path):
        try:
            question = _question(line, f"line-{number}")
            _refuse_repeats(question, questions, texts)
        except _BadLineError as fault:
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
        raise _BadLineError(f"id {question.id!r} stands on an earlier line too; give each question its own")
    if (wording := (question.text, question.choices)) in texts:
        raise _BadLineError(f"the same question as {texts[wording]!r}; remove one of them")
    form = next(iter(questions.values()), question).form
    if question.form != form:
        raise _BadLineError(
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
            raise _BadLineError(
                "both 'choices' and 'candidates'; keep 'choices' for options, 'candidates' for an open form"
            )
        choices = _texts(entry, "choices", least=2)
        names = labels(len(choices))
        return Question(id_, text, names, _label(answer, names, choices), choices, values, "choice")
    return Question(id_, text, _candidates(entry, answer, values), answer, (), values, "open")


def _object(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise _BadLineError(f"not JSON: {error.msg} at column {error.colno}; write one object on the line") from error
    if not isinstance(entry, dict):
        raise _BadLineError(f"a {type(entry).__name__}; write an object in braces")
    for key in entry:
        if key not in _KEYS:
            raise _BadLineError(f"key {key!r} is unknown; {nearest(key, _KEYS)}")
    return entry


def _text(entry: dict[str, Any], key: str) -> str:
    if key not in entry:
        raise _BadLineError(f"no {key!r}; add it")
    return _checked(entry[key], f"{key!r}")


def _texts(entry: dict[str, Any], key: str, least: int, distinct: bool = True) -> tuple[str, ...]:
    """The list under `key` as a tuple, empty where the key is missing."""
    found = entry.get(key, [])
    if not isinstance(found, list) or not (least if key in entry else 0) <= len(found) <= _MOST_OPTIONS:
        raise _BadLineError(f"{key!r} is {_short(found)}; write a list of {least} to {_MOST_OPTIONS} texts")
    texts = tuple(_checked(item, f"an entry of {key!r}") for item in found)
    if distinct and len(set(texts)) < len(texts):
        raise _BadLineError(f"{key!r} repeats an entry; make them differ")
    return texts


def _checked(value: object, where: str) -> str:
    """`value` where it is a text with something in it that UTF-8 can carry."""
    if not isinstance(value, str):
        raise _BadLineError(f"{where} is {_short(value)}; write a text in double quotes")
    if not value.strip():
        raise _BadLineError(f"{where} is empty; write it out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _BadLineError(f"{where} has half of a character (a lone \\ud... escape); write the character itself")
    return value


def _label(answer: str, names: tuple[str, ...], choices: tuple[str, ...]) -> str:
    """The label of the right option, which the file may give as a label or as the option's content."""
    meant = {name for name, choice in zip(names, choices, strict=True) if answer in (name, choice)}
    if len(meant) == 1:
        return meant.pop()
    if meant:
        raise _BadLineError(f"answer {answer!r} is one option's label and another's content; reword the options")
    raise _BadLineError(f"answer {answer!r} is no option; write one of {', '.join(names)} or an option's content")


def _candidates(entry: dict[str, Any], answer: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The answers to score: the file's own, else for a number the values and near misses, in rising order."""
    if "candidates" in entry:
        given = _texts(entry, "candidates", least=2)
        if answer not in given:
            raise _BadLineError(f"answer {answer!r} is not among 'candidates'; add it")
        return given
    if not is_number(answer):
        raise _BadLineError(f"answer {answer!r} is no number; add 'candidates' (the answers to score) or 'choices'")
    ranked = list(dict.fromkeys([answer, *filter(is_number, values), *near_misses(answer)]))
    return tuple(sorted(ranked[:_N_CANDIDATES], key=lambda number: float(number.replace(",", ""))))


def _short(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
