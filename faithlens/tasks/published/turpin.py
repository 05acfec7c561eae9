"""Outputs of Turpin et al. 2023 (arXiv:2305.04388): 13 tasks of BIG-bench Hard with a suggested answer, as released.

A file of outputs holds one task, one model and one way of asking (few-shot or not): `outputs[0]` under the biased
prompt and `outputs[1]` under the plain one, each with lists by question: `y_pred` (the answer after a chain), `y_pred_
prior` (the answer without), `y_true`, and -1 for an answer that could not be read. A file of questions holds
`random_ans_idx`, the option that the biased prompt suggests; the outputs may hold it too.

What a file holds says what it is, and its name does not matter, but for questions, whose task is the name of their
file or folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import shorten_value
from faithlens.tasks.published.files import get_value, list_files, name_place, read_json, strip_endings
from faithlens.tasks.question_factory import BadEntryError

TASKS = (
    "causal_judgment", "date_understanding", "disambiguation_qa", "hyperbaton", "logical_deduction_five_objects",
    "movie_recommendation", "navigate", "ruin_names", "snarks", "sports_understanding", "temporal_sequences",
    "tracking_shuffled_objects_three_objects", "web_of_lies",
)  # fmt: skip
"""The tasks of the paper."""

UNREADABLE = -1
_AGAIN = "copy the file from its source again"


@dataclass(frozen=True)
class BiasedQuestion:
    """The answers to one question, as indices of options; -1 where an answer could not be read.

    Attributes:
        task: the task of BIG-bench Hard.
        right: the right option.
        suggested: the option that the biased prompt points to.
        plain, biased: the answers under the two prompts, without a chain of thought and after one.
    """

    task: str
    right: int
    suggested: int
    plain: tuple[int, int]
    biased: tuple[int, int]


@dataclass(frozen=True)
class BiasRelease:
    """All that a folder holds.

    Attributes:
        questions: by kind of bias, model, and whether the prompt had examples.
        files: the files that were read.
        remarks: what is missing or was left out.
    """

    questions: dict[tuple[str, str, bool], list[BiasedQuestion]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_release(folder: str | Path) -> BiasRelease:
    """The outputs in a folder, with the options that were suggested.

    Raises:
        TaskError: there is no JSON file in the folder, or one of them is damaged; the place is named.
    """
    release, others = BiasRelease(), list[str]()
    outputs: list[tuple[Path, dict[str, Any]]] = []
    suggested: dict[str, tuple[Path, list[int]]] = {}
    for path in list_files(folder, ".json"):
        content = read_json(path)
        if isinstance(content, dict) and {"config", "outputs"} & content.keys():
            outputs.append((path, content))
        elif isinstance(content, dict) and _is_list_of_questions(content):
            suggested[_name_task(path)] = path, _read_suggestions(path, content["data"])
        else:
            others.append(path.name)
            continue
        release.files.append(path)
    for path, content in outputs:
        _add_outputs(release, path, content, suggested)
    if others:
        names = ", ".join(dict.fromkeys(others))
        release.remarks.append(f"not read, because they hold neither outputs nor questions: {names}")
    return release


def _is_list_of_questions(content: dict[str, Any]) -> bool:
    data = content.get("data")
    return isinstance(data, list) and any(isinstance(each, dict) and "random_ans_idx" in each for each in data)


def _name_task(path: Path) -> str:
    name = strip_endings(path)
    return path.parent.name if name == "val_data" else name


def _read_suggestions(path: Path, data: list[Any]) -> list[int]:
    out: list[int] = []
    for place, entry in enumerate(data):
        with name_place(path, f"data[{place}]"):
            if not isinstance(entry, dict):
                raise BadEntryError(f"it is {shorten_value(entry)}", _AGAIN)
            out.append(get_value(entry, "random_ans_idx", int))
    return out


def _add_outputs(
    release: BiasRelease, path: Path, content: dict[str, Any], suggested: dict[str, tuple[Path, list[int]]]
) -> None:
    """The questions of one file of outputs; a remark where its suggestions are not known."""
    with name_place(path, "'config'"):
        config = get_value(content, "config", dict)
        task, model = get_value(config, "task", str), get_value(config, "model", str)
    if task not in TASKS:
        release.remarks.append(f"left out {path.name}: {task!r} is none of the {len(TASKS)} tasks of the paper's table")
        return
    with name_place(path, "'config'"):
        bias, few_shot = get_value(config, "bias_type", str), get_value(config, "few_shot", bool)
    with name_place(path, "'outputs'"):
        pair = get_value(content, "outputs", list)
        if len(pair) != 2 or not all(isinstance(each, dict) for each in pair):
            raise BadEntryError(f"{len(pair)} parts in place of two objects, biased and plain", _AGAIN)
    right = _read_answers(path, "outputs[0]", pair[0], "y_true")
    columns = {
        (part, key): _read_answers(path, f"outputs[{part}]", pair[part], key, len(right))
        for part in (0, 1)
        for key in ("y_true", "y_pred_prior", "y_pred")
    }
    with name_place(path, "outputs[1]['y_true']"):
        if columns[1, "y_true"] != right:
            raise BadEntryError("it differs from that of outputs[0]", _AGAIN)
    if bias == "ans_always_a":
        targets: Sequence[int] = [0] * len(right)
    elif bias != "suggested_answer":
        release.remarks.append(f"left out {path.name}: its bias {bias!r} is unknown")
        return
    elif task in suggested:
        source, targets = suggested[task]
        with name_place(source, "'data'"):
            if len(targets) != len(right):
                raise BadEntryError(f"{len(targets)} questions, and {path.name} has {len(right)}", _AGAIN)
    elif "random_ans_idx" in pair[0]:
        targets = _read_answers(path, "outputs[0]", pair[0], "random_ans_idx", len(right))
        release.remarks.append(f"there is no file of questions for {task}: the suggestions are those in {path.name}")
    else:
        release.remarks.append(f"left out {path.name}: there is no file of questions for {task}")
        return
    answers = zip(
        right, targets, columns[1, "y_pred_prior"], columns[1, "y_pred"], columns[0, "y_pred_prior"],
        columns[0, "y_pred"], strict=True,
    )  # fmt: skip
    known = release.questions.setdefault((bias, model, few_shot), [])
    with name_place(path, "'config'"):
        if any(each.task == task for each in known):
            raise BadEntryError(f"another file has the outputs of {model} on {task} too", "keep one of the two")
    known += [BiasedQuestion(task, r, t, (p0, p1), (b0, b1)) for r, t, p0, p1, b0, b1 in answers]


def _read_answers(path: Path, part: str, output: dict[str, Any], key: str, length: int | None = None) -> list[int]:
    """One list of options by question; None and NaN, which stand for a question that failed, count as unreadable."""
    with name_place(path, part):
        values = get_value(output, key, list)
        if length is not None and len(values) != length:
            raise BadEntryError(f"{key!r} has {len(values)} entries, and 'y_true' has {length}", _AGAIN)
    out: list[int] = []
    for place, value in enumerate(values):
        if value is None or value != value:
            out.append(UNREADABLE)
        elif isinstance(value, int | float) and not isinstance(value, bool) and _is_option(value):
            out.append(int(value))
        else:
            with name_place(path, f"{part}[{key!r}][{place}]"):
                raise BadEntryError(f"{shorten_value(value)} is no option", "an index from 0, or -1, is expected there")
    return out


def _is_option(value: int | float) -> bool:
    """Whether a number is an index of an option, or -1; a list with NaN may have the others as 1.0."""
    return float(value).is_integer() and value >= UNREADABLE
