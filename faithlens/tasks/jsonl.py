"""Questions of the user's own, from a JSON-lines file; the whole file is checked before any question is used.

Each line is an object::

    {"question": "...", "choices": ["12", "15", "9"], "answer": "B"}        the answer as a label or as an option
    {"question": "...", "answer": "15", "values": ["12", "15"]}             free-form, a number: near misses are made
    {"question": "...", "answer": "blue", "candidates": ["blue", "red"]}    free-form, the answers to score

    {"question": "...", "answer": "15", "counterfactual": {"question": "...", "answer": "17"}}

A counterfactual is the question changed so that another answer follows; its answer may be left out where nobody knows
it, and its choices where they stay (`faithlens.tasks.counterfactuals`). `id` names a question, else its line does;
`values` are the true intermediate values where they are known. With `"decimal_mark": ","` the numbers of the question
and of the model's answers have decimal commas: "1.200,50".
"""

from pathlib import Path

from faithlens.errors import TaskError, suggest_path
from faithlens.tasks.entries import FaultList, QuestionCollection, check_keys, parse_object, read_question
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.question import Question


class JsonLines(FixedTask):
    """The questions of one file.

    Raises TaskError where the file cannot be read, is empty, mixes forms, or has broken lines (the first ten named).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        super().__init__(str(path), *_load_questions(self.path))


def _load_questions(path: Path) -> tuple[list[Question], dict[str, Question]]:
    """The questions, and the counterfactuals that the file gives by the id of their question."""
    entered, faults = QuestionCollection(), FaultList(path)
    for number, line in read_lines(path):
        with faults.collect_at(where := f"line {number}"):
            entry = parse_object(line)
            check_keys(entry)
            entered.add_counterfactual(entry, entered.add(read_question(entry, f"line-{number}"), where))
    faults.raise_if_any('Correct these lines; a line holds at least {"question": "...", "answer": "12"}.')
    if not entered.questions:
        raise TaskError(
            f"{path} holds no questions", 'Write one object on each line: {"question": "...", "answer": "12"}.'
        )
    return entered.questions, entered.counterfactuals


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1; only a line feed ends a line, as JSON lines has it.

    Raises TaskError where the file cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaskError(
            f"{path} cannot be read: {error.strerror or error}", f"{suggest_path(path)}Check the path."
        ) from error
    except UnicodeDecodeError as error:
        fix = "Unpack the file first: gunzip." if path.suffix == ".gz" else "Save the file as UTF-8."
        raise TaskError(f"{path} is not UTF-8 at byte {error.start}", fix) from error
    except ValueError as error:  # a path that no file can have
        raise TaskError(f"{str(path)!r} cannot be read: {error}", "Check the path.") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
