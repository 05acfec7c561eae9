"""Steps of Tutek et al. 2025 (arXiv:2502.14829), each with one minimal mistake, and a study in which people rate steps.

A line of a file of mistakes holds a question with its options, a chain of thought cut into steps (`segmented_cot`), the
index of one step (`step_idx`), its words (`cot_step`) and the same with a mistake (`mistake_cot_step`). A row of the
study holds a chain, the index of one step, what unlearning the step did to the answer (`dp`, the fall of its
probability, and `flip`), and the rating that people gave (`rating`).

A file of mistakes says neither which dataset it is of nor which model wrote the chains; its name or its folders do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import FaultList, check_text, shorten_value
from faithlens.tasks.published.files import (
    ReleasedTable,
    explain_columns,
    get_count,
    get_number,
    get_value,
    has_ending,
    list_distinct,
    list_files,
    read_json_lines,
    read_table,
    read_text,
    strip_endings,
)
from faithlens.tasks.question_factory import BadEntryError

DATA_SETS = ("arc-challenge", "openbook", "sports", "sqa")
STUDY_COLUMNS = (
    "ID", "Question", "options", "segmented_cot", "correct_answer", "predicted_answer", "target_step_idx", "dp", "flip",
    "dataset", "model", "rating",
)  # fmt: skip
RATINGS = {
    "Not Supportive At All": 1,
    "Slightly Supportive": 2,
    "Moderately Supportive": 3,
    "Mostly Supportive": 4,
    "Fully Supportive": 5,
}
_AGAIN = "copy the file from its source again"
_LABEL = re.compile(r"\(?[A-Z]\)?:?\s*")


@dataclass(frozen=True)
class MistakenStep:
    """One step of a published chain, and the same step with a mistake.

    Attributes:
        question_id: the id of the question.
        question: the text of the question.
        options: the contents of the question's options.
        steps: all steps of the chain.
        step: the index of the step, from 0.
        mistaken: the words of the step with the mistake.
        by: the model that wrote the mistake; empty where the file does not say.
        place: where it stands in its file; two steps that differ in nothing else are the same.
    """

    question_id: str
    question: str
    options: tuple[str, ...]
    steps: tuple[str, ...]
    step: int
    mistaken: str
    by: str
    place: str = field(compare=False)

    @property
    def is_changed(self) -> bool:
        """Whether the mistake has other words than the step."""
        return self.mistaken.split() != self.steps[self.step].split()


@dataclass(frozen=True)
class RatedStep:
    """One step of the study.

    Attributes:
        question_id, question, options, steps, step: as of a `MistakenStep`.
        right, predicted: the indices of the right option and of the one that the model chose.
        fall: the fall of the probability of the predicted answer when the step was unlearned; -1 to 1.
        flips: whether the answer changed then.
        rating: how well people found that the step supports the answer, 1 (not at all) to 5 (fully).
        data_set, model: what the chain answers, and who wrote it.
    """

    question_id: str
    question: str
    options: tuple[str, ...]
    steps: tuple[str, ...]
    step: int
    right: int
    predicted: int
    fall: float
    flips: bool
    rating: int
    data_set: str
    model: str


@dataclass(frozen=True)
class StepRelease:
    """All that a folder holds.

    Attributes:
        mistakes: by dataset and model, in the order of the files.
        study: the rated steps.
        files: the files that were read.
        remarks: what was left out.
    """

    mistakes: dict[str, list[MistakenStep]] = field(default_factory=dict)
    study: list[RatedStep] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_release(folder: str | Path) -> StepRelease:
    """The steps in the files of a folder.

    Raises:
        TaskError: there is no such file in the folder, or one of them is damaged; the lines are named.
    """
    release = StepRelease()
    for path in list_distinct(list_files(folder, ".jsonl", ".out", ".csv"), release.remarks):
        if has_ending(path, ".csv"):
            table = read_table(path)
            if reason := explain_columns(table, STUDY_COLUMNS):
                release.remarks.append(reason)
                continue
            _extend(release, release.study, _read_study(table), path)
        elif holds_mistakes(path):
            _extend(release, release.mistakes.setdefault(name_chains(path), []), read_mistakes(path), path)
        else:
            release.remarks.append(f"{path.name} was not read: no line of it holds a step with a mistake")
            continue
        release.files.append(path)
    return release


def _extend(release: StepRelease, known: list[Any], more: Sequence[Any], path: Path) -> None:
    """Add the entries of `more` that are not known yet, so that a step in two files counts once."""
    before = {*known}
    new = [each for each in more if each not in before]
    known.extend(new)
    if len(new) < len(more):
        release.remarks.append(f"{len(more) - len(new)} steps of {path.name} stand in another file too, and count once")


def holds_mistakes(path: Path) -> bool:
    """Whether a file has a line with a step and its mistake, or lines of which none is JSON, so that it is damaged.

    The release has other files of JSON lines too.
    """
    entries = [entry for _, entry in read_json_lines(path, FaultList(path))]
    return any(map(is_mistake_line, entries)) or (not entries and bool(read_text(path).strip()))


def name_chains(path: Path) -> str:
    """Dataset and model of a file of mistakes: ``sqa, LLaMA-3`` for sqa-LLaMA-3.jsonl.gz or sqa/LLaMA-3/x.out."""
    name = strip_endings(path)
    for data_set in DATA_SETS:
        if name.startswith((f"{data_set}-", f"{data_set}_")):
            return f"{data_set}, {name[len(data_set) + 1 :]}"
    folders = path.parent.parts
    for above, below in zip(folders[-2::-1], folders[:0:-1], strict=True):  # the nearest one counts
        if above in DATA_SETS:
            return f"{above}, {below}"
    return name


def is_mistake_line(entry: dict[str, Any]) -> bool:
    """Whether an object is a line of a file of mistakes."""
    return {"segmented_cot", "mistake_cot_step"} <= entry.keys()


def read_mistakes(path: Path) -> list[MistakenStep]:
    """The lines of one file of mistakes.

    Raises:
        TaskError: the file cannot be read, or has damaged lines; the first ten are named.
    """
    faults, out = FaultList(path), list[MistakenStep]()
    places: dict[tuple[str, int], str] = {}
    for where, entry in read_json_lines(path, faults):
        with faults.collect_at(where):
            made = read_mistake(entry, where)
            first = places.setdefault((made.question_id, made.step), where)
            if first != where:
                step = f"step {made.step} of {shorten_value(made.question_id)}"
                raise BadEntryError(f"{step} stands at '{first}' too", "remove one")
            out.append(made)
    faults.raise_if_any("Copy the file from its source again.")
    return out


def read_mistake(entry: dict[str, Any], where: str) -> MistakenStep:
    """One line of a file of mistakes.

    Raises:
        BadEntryError: a key is missing, or its value is of the wrong kind.
    """
    steps = _read_texts(entry, "segmented_cot")
    step = get_value(entry, "step_idx", int)
    if not 0 <= step < len(steps):
        raise BadEntryError(f"'step_idx' is {step}, and 'segmented_cot' has {len(steps)} steps", _AGAIN)
    if get_value(entry, "cot_step", str).split() != steps[step].split():
        raise BadEntryError(f"'cot_step' is not step {step} of 'segmented_cot'", _AGAIN)
    return MistakenStep(
        check_text(get_value(entry, "id", str), "'id'"),
        check_text(get_value(entry, "question", str), "'question'"),
        strip_labels(_read_texts(entry, "options")),
        steps,
        step,
        check_text(get_value(entry, "mistake_cot_step", str), "'mistake_cot_step'"),
        str(entry.get("mistake_model", "")),
        where,
    )


def strip_labels(options: Sequence[str]) -> tuple[str, ...]:
    """The contents of options that are written "A): water"."""
    return tuple(_LABEL.sub("", option, count=1) if _LABEL.match(option) else option for option in options)


def _read_texts(entry: dict[str, Any], key: str) -> tuple[str, ...]:
    values = get_value(entry, key, list)
    if not values or not all(isinstance(value, str) for value in values):
        raise BadEntryError(f"{key!r} is {shorten_value(values)}", "a list of texts is expected there")
    return tuple(values)


def _read_study(table: ReleasedTable) -> list[RatedStep]:
    faults, out = FaultList(table.path, "row"), list[RatedStep]()
    for where, row in table.rows:
        with faults.collect_at(where):
            out.append(_read_rated(row))
    faults.raise_if_any("Copy the file from its source again.")
    return out


def _read_rated(row: dict[str, str]) -> RatedStep:
    steps, options = tuple(row["segmented_cot"].split("||")), strip_labels(row["options"].split("||"))
    rating = RATINGS.get(row["rating"].strip().title())
    if rating is None:
        fix = f"one of {', '.join(RATINGS)} is expected there"
        raise BadEntryError(f"'rating' is {shorten_value(row['rating'])}", fix)
    if row["flip"].strip().upper() not in ("TRUE", "FALSE"):
        raise BadEntryError(f"'flip' is {shorten_value(row['flip'])}", "TRUE or FALSE is expected there")
    last = len(options) - 1
    return RatedStep(
        row["ID"], row["Question"], options, steps, get_count(row, "target_step_idx", 0, len(steps) - 1),
        get_count(row, "correct_answer", 0, last), get_count(row, "predicted_answer", 0, last),
        get_number(row, "dp", -1.0, 1.0), row["flip"].strip().upper() == "TRUE", rating,
        row["dataset"], row["model"],
    )  # fmt: skip
