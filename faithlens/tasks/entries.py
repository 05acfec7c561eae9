"""One question as a plain object, from whichever file: checked key by key, and all faults of the file reported
together.

An entry has the keys that `faithlens.tasks.jsonl` describes. Readers of other formats make such entries of what they
find, so that there is one place where a question is checked.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError, suggest_names
from faithlens.strict_json import RepeatedKeyError, parse_strictly
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.question import Prompt, Question
from faithlens.tasks.question_factory import MAX_OPTIONS, BadEntryError, make_choice_question, make_free_form_question
from faithlens.tasks.values import DecimalMark, is_same_answer, read_number

ENTRY_KEYS = ("question", "answer", "choices", "candidates", "values", "id", "decimal_mark", "counterfactual")
"""What an entry may hold about its question."""

_MAX_REPORTED = 10
_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"(?:[^"\\]|\\.)*"?""")


class FaultList:
    """The faults of one file, gathered so that all are named together.

    Attributes:
        counts: the number of bad entries by reason; values in quotes are left out of the reason.
        remarks: what else a reader has to say about the file, such as which of several filters it read.
    """

    def __init__(self, path: Path, noun: str = "line") -> None:
        self._path, self._noun = path, noun
        self._messages: list[str] = []
        self.counts = Counter[str]()
        self.remarks: list[str] = []

    @contextmanager
    def collect_at(self, where: str) -> Iterator[None]:
        """Keep the fault that ends this block, if one does, as standing at `where`."""
        try:
            yield
        except BadEntryError as fault:
            self._messages.append(f"{where}: {fault}")
            self.counts[_QUOTED.sub("...", fault.problem)] += 1

    def raise_if_any(self, fix: str) -> None:
        """Raise a TaskError that says `fix` if there was any fault; the first ten are named."""
        if not self._messages:
            return
        n = len(self._messages)
        more = [f"and {n - _MAX_REPORTED} more"] if n > _MAX_REPORTED else []
        noun = self._noun if n == 1 else f"{self._noun}s"
        lines = [f"{self._path} has {n} bad {noun}; nothing was loaded", *self._messages[:_MAX_REPORTED], *more]
        raise TaskError("\n       ".join(lines), fix)


class QuestionCollection:
    """The questions of one file so far: they share one form, and no id and no wording stands for two of them.

    Attributes:
        counterfactuals: those that the file gives, by the id of their question.
        prompts: those that the file gives, by the id of their question.
    """

    def __init__(self) -> None:
        self.counterfactuals: dict[str, Question] = {}
        self._by_id: dict[str, Question] = {}
        self._places: dict[str, str] = {}
        self.prompts: dict[str, Prompt] = {}
        self._by_wording: dict[tuple[str, tuple[str, ...], Prompt | None], Question] = {}

    @property
    def questions(self) -> list[Question]:
        """The questions, in the order in which they were entered."""
        return list(self._by_id.values())

    def get_or_add(self, question: Question, where: str, prompt: Prompt | None = None) -> Question:
        """The question with this wording, answer and prompt that was added before; else `question`, which is added.

        If the id already stands for the same question under another prompt, a number is appended to it.
        """
        earlier = self._by_wording.get((question.text, question.choices, prompt))
        if earlier and earlier.answer == question.answer:
            return earlier
        if prompt and (first := self._by_id.get(question.id)) and replace(first, id="") == replace(question, id=""):
            n = next(n for n in count(2) if f"{question.id}#{n}" not in self._by_id)
            question = replace(question, id=f"{question.id}#{n}")
        return self.add(question, where, prompt)

    def add_counterfactual(self, entry: dict[str, Any], question: Question) -> None:
        """Keep the counterfactual that the entry of `question` gives, if it gives one.

        Raises BadEntryError where it cannot be used (see `read_counterfactual`).
        """
        counterfactual = read_counterfactual(entry, question)
        if counterfactual is not None:
            self.counterfactuals[question.id] = counterfactual

    def add(self, question: Question, where: str, prompt: Prompt | None = None) -> Question:
        """Add `question`, which stands at `where` in the file.

        Raises BadEntryError where its id or wording stands already, or its form differs.
        """
        if question.id in self._by_id:
            raise BadEntryError(
                f"id {question.id!r} names another question at '{self._places[question.id]}'",
                "give each question an id of its own",
            )
        if same := self._by_wording.get((question.text, question.choices, prompt)):
            raise BadEntryError(f"the same question as {same.id!r} at '{self._places[same.id]}'", "remove one of them")
        form = next(iter(self._by_id.values()), question).form
        if question.form != form:
            raise BadEntryError(
                f"of form {question.form!r} after questions of form {form!r}", "keep each form in its own file"
            )
        self._places[question.id] = where
        self._by_id[question.id] = self._by_wording[question.text, question.choices, prompt] = question
        if prompt:
            self.prompts[question.id] = prompt
        return question


def read_question(entry: dict[str, Any], default_id: str) -> Question:
    """The question an entry describes; its answer is empty where that of a question with options is null.

    Raises BadEntryError where a key is missing, or its value cannot be used.
    """
    is_open = "choices" not in entry
    text = _read_text(entry, "question")
    answer = "" if entry.get("answer", "") is None and not is_open else _read_text(entry, "answer")
    id_ = _read_text(entry, "id") if "id" in entry else default_id
    values = _read_texts(entry, "values", min_length=0, is_distinct=False)
    if not is_open:
        if "candidates" in entry:
            raise BadEntryError(
                "both 'choices' and 'candidates'", "keep 'choices' for options, 'candidates' for a free-form question"
            )
        choices = _read_texts(entry, "choices", min_length=2)
        right = find_right_option(answer, choices) if answer else 0
        made = make_choice_question(id_, text, choices, right, values, _read_decimal_mark(entry))
        return made if answer else replace(made, answer="")
    candidates = _read_texts(entry, "candidates", min_length=2) if "candidates" in entry else ()
    return make_free_form_question(id_, text, answer, values, candidates, _read_decimal_mark(entry))


def read_counterfactual(entry: dict[str, Any], question: Question) -> Question | None:
    """The counterfactual that the entry of `question` gives; None where it gives none. Its answer may be missing.

    Raises BadEntryError where it cannot be used: it has the same question or answer, or another number of options.
    """
    counterfactual = entry.get("counterfactual")
    if "counterfactual" not in entry:
        return None
    if not isinstance(counterfactual, dict):
        problem = f"'counterfactual' is {shorten_value(counterfactual)}"
        raise BadEntryError(problem, 'write an object such as {"question": "...", "answer": "12"}')
    check_keys(counterfactual, ("question", "answer", "choices"))
    text = _read_text(counterfactual, "question")
    choices = _read_texts(counterfactual, "choices", min_length=2) or question.choices
    if len(choices) != len(question.choices):
        problem = f"the counterfactual has {len(choices)} choices and its question {len(question.choices)}"
        raise BadEntryError(problem, "give both as many, or none for a free-form question")
    if (text, choices) == (question.text, question.choices):
        raise BadEntryError("the counterfactual is the question itself", "change something in it")
    answer = _read_counterfactual_answer(counterfactual, question, choices) if "answer" in counterfactual else ""
    if is_same_answer(answer, question.answer, question.decimal_mark):
        fix = "change the question or its options so that another answer follows"
        raise BadEntryError(f"the counterfactual has the same answer {answer!r}", fix)
    return replace(question, id=f"{question.id}:counterfactual", text=text, choices=choices, answer=answer, values=())


def _read_counterfactual_answer(entry: dict[str, Any], question: Question, choices: Sequence[str]) -> str:
    """The answer of a counterfactual, as a label where there are options."""
    answer = _read_text(entry, "answer")
    if question.form == "choice":
        return question.candidates[find_right_option(answer, choices)]
    if read_number(question.answer, question.decimal_mark) is None:
        same = [each for each in question.candidates if is_same_answer(each, answer, question.decimal_mark)]
        if not same:
            raise BadEntryError(f"the counterfactual's answer {answer!r} is not among 'candidates'", "add it")
        return same[0]
    if read_number(answer, question.decimal_mark) is None:
        raise BadEntryError(f"the counterfactual's answer {answer!r} is no number", "write a number, or leave it out")
    return answer


def _read_decimal_mark(entry: dict[str, Any]) -> DecimalMark:
    match entry.get("decimal_mark", "."):
        case "." | "," as mark:
            return mark
        case other:
            raise BadEntryError(f"'decimal_mark' is {shorten_value(other)}", 'write "." or ","')


def parse_object(line: str) -> dict[str, Any]:
    """The object on one line. Raises BadEntryError where there is none."""
    try:
        entry = parse_strictly(line)
    except json.JSONDecodeError as error:
        raise BadEntryError(f"not JSON: {error.msg} at column {error.colno}", "write one object on the line") from error
    except RepeatedKeyError as error:
        raise BadEntryError(f"the key {shorten_value(error.key)} stands twice", "keep one of them") from error
    except ValueError as error:
        raise BadEntryError(f"JSON that cannot be read: {error}", "write one object on the line") from error
    if not isinstance(entry, dict):
        raise BadEntryError(f"a {type(entry).__name__}", "write an object in braces")
    return entry


def check_keys(entry: dict[str, Any], known: Sequence[str] = ENTRY_KEYS) -> None:
    """Raise BadEntryError where `entry` has a key that is not `known`."""
    for key in entry:
        if key not in known:
            raise BadEntryError(f"key {key!r} is unknown", suggest_names(key, known))


def _read_text(entry: dict[str, Any], key: str) -> str:
    if key not in entry:
        raise BadEntryError(f"no {key!r}", "add it")
    return check_text(entry[key], f"{key!r}")


def _read_texts(entry: dict[str, Any], key: str, min_length: int, is_distinct: bool = True) -> tuple[str, ...]:
    """The list under `key` as a tuple, empty where the key is missing."""
    items = entry.get(key, [])
    if not isinstance(items, list) or not (min_length if key in entry else 0) <= len(items) <= MAX_OPTIONS:
        raise BadEntryError(
            f"{key!r} is {shorten_value(items)}", f"write a list of {min_length} to {MAX_OPTIONS} texts"
        )
    texts = tuple(check_text(item, f"an entry of {key!r}") for item in items)
    if is_distinct and len(set(texts)) < len(texts):
        raise BadEntryError(f"{key!r} repeats an entry", "make them differ")
    return texts


def check_text(value: object, where: str, may_be_empty: bool = False) -> str:
    """`value`, checked to be a text that UTF-8 can write, and not an empty one unless `may_be_empty`.

    Raises BadEntryError where it is not; the message calls it `where`.
    """
    if not isinstance(value, str):
        raise BadEntryError(f"{where} is {shorten_value(value)}", "write a text in double quotes")
    if not may_be_empty and not value.strip():
        raise BadEntryError(f"{where} is empty", "write it out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadEntryError(f"{where} has half of a character (a lone \\ud... escape)", "write the character itself")
    return value


def find_right_option(answer: str, choices: Sequence[str]) -> int:
    """The place of the right option, which the file may give as a label or as the option's content.

    Raises BadEntryError where it is neither, or stands for two options.
    """
    names = make_labels(len(choices))
    places = {place for place, option in enumerate(zip(names, choices, strict=True)) if answer in option}
    if len(places) == 1:
        return places.pop()
    if places:
        raise BadEntryError(f"answer {answer!r} is one option's label and another's content", "reword the options")
    raise BadEntryError(f"answer {answer!r} is no option", f"write one of {', '.join(names)} or an option's content")


def shorten_value(value: object) -> str:
    """`value` as JSON, no longer than a message has room for."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else text[:37] + "..."
