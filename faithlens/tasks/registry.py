"""The tasks by name, and the ways to name a task: what the option ``--task`` and `load_task` accept."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from inspect import getdoc
from pathlib import Path

from faithlens.errors import TaskError, check_choice, check_type, suggest_names, suggest_path
from faithlens.tasks.addition import DIGIT_COUNTS, OPERAND_COUNTS, Addition
from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.bbq import Bbq
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.comparisons import Comparisons
from faithlens.tasks.datasets import DATASET_LAYOUTS, DatasetTask
from faithlens.tasks.dates import Dates
from faithlens.tasks.hinted_sum import OPENINGS_IN_TURN, HintedSum
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.plugins import import_object, load_installed
from faithlens.tasks.question import Stem, Task
from faithlens.tasks.reasoning_gym import GYM_PREFIX, ReasoningGym
from faithlens.tasks.rows import ROW_FILE_SUFFIXES, load_hub_rows, read_rows
from faithlens.tasks.running_sum import MODES, RunningSum
from faithlens.tasks.stories import Stories
from faithlens.tasks.tracking import Tracking
from faithlens.tasks.weak_evidence import WeakEvidence

TASKS: dict[str, Callable[[], Task]] = {
    "arithmetic": Arithmetic,
    "arithmetic-2": partial(Arithmetic, steps=2),
    "arithmetic-4": partial(Arithmetic, steps=4),
    "arithmetic-mc": partial(Arithmetic, form="choice"),
    "arithmetic-mc-2": partial(Arithmetic, steps=2, form="choice"),
    "arithmetic-mc-4": partial(Arithmetic, steps=4, form="choice"),
    "variable-chain": VariableChain,
    "variable-chain-mc": partial(VariableChain, form="choice"),
    "ordering": Ordering,
    "ordering-4": partial(Ordering, people=4),
    "ordering-5": partial(Ordering, people=5),
    "coin-flip": CoinFlip,
    **{f"coin-flip-{n}": partial(CoinFlip, people=n) for n in (2, 3, 5, 6, 7, 8)},
    "tracking": Tracking,
    "tracking-4": partial(Tracking, people=4),
    "tracking-5": partial(Tracking, people=5),
    "dates": Dates,
    **{f"addition-{d}d-{n}": partial(Addition, digits=d, operands=n) for d in DIGIT_COUNTS for n in OPERAND_COUNTS},
    "weak-evidence": WeakEvidence,
    "comparisons": Comparisons,
    "running-sum": RunningSum,
    **{f"running-sum-{n}": partial(RunningSum, additions=n - 1, name=f"running-sum-{n}") for n in (3, 5, 6, 8)},
    "running-sum-modes": partial(RunningSum, name="running-sum-modes", modes=MODES),
    "running-sum-hints": HintedSum,
    "running-sum-hinted": partial(HintedSum, name="running-sum-hinted", modes=OPENINGS_IN_TURN),
    "stories": Stories,
}
"""The question generators of faithlens by name; each value makes the task."""

_OBJECT_PLACE = re.compile(r"[\w.]+:[\w.]+")
ENTRY_POINTS = "faithlens.tasks"
"""The group of entry points under which an installed package offers tasks by name."""


def list_tasks() -> dict[str, str]:
    """The name and a one-sentence description of every named task.

    These are the question generators, the published datasets, and the tasks of installed packages. Files, datasets of
    reasoning-gym and classes have no fixed list of names; `load_task` accepts them too.

    A task of an installed package that cannot be imported is described by the reason.
    """
    makers = {name: make.func if isinstance(make, partial) else make for name, make in TASKS.items()}
    datasets = {
        name: f"Published dataset, split {layout.split}{f', one of its parts as {name}:PART' if layout.part else ''}."
        for name, layout in DATASET_LAYOUTS.items()
    }
    described = {name: read_summary(task) for name, task in makers.items()}
    return described | {name: _describe_installed(point) for name, point in _find_entry_points().items()} | datasets


def load_task(task: str | Path | Task | type[Task]) -> Task:
    """The task that `task` names.

    Args:
        task: one of

            - a name of `list_tasks`: a generator (``"arithmetic-mc"``), a dataset (``"gsm8k"``,
              ``"bbh:object_counting"``, ``"mmlu=my/copy.csv"``) or a task of an installed package (entry point group
              `faithlens.tasks`);
            - a dataset of reasoning-gym: ``"reasoning-gym:chain_sum"``;
            - the path of a file of questions that ends in ".jsonl" (see `faithlens.tasks.jsonl`);
            - a class or object of your own as ``"package.module:Class"``; a class is called without arguments;
            - a task, or a class of tasks, itself.

    Returns:
        The task as an object.

    Raises:
        TaskError: there is no such task, its questions cannot be read, or the object lacks a member of the protocol
            `Task`.
    """
    if not isinstance(task, str | Path):
        return _make_task(task, repr(task))
    name = str(task)
    check_task_name(name)
    installed = _find_entry_points()
    if name in TASKS:
        return TASKS[name]()
    if name in installed:
        return _make_task(load_installed(installed[name], "task", TaskError), repr(name))
    if name.startswith(GYM_PREFIX):
        return ReasoningGym(name.removeprefix(GYM_PREFIX))
    if re.split("[:=]", name)[0] in DATASET_LAYOUTS:
        return load_dataset_task(name)
    if name.endswith(".jsonl"):
        return JsonLines(name)
    return _make_task(import_object(name, "task", TaskError), repr(name))


def check_task_name(name: str) -> None:
    """Check that `load_task` knows a name, or where to look for it. Nothing is loaded or downloaded.

    Raises:
        TaskError: there is no such task; with the nearest name.
    """
    known = [*TASKS, *DATASET_LAYOUTS, *_find_entry_points(), f"{GYM_PREFIX}chain_sum"]
    is_place = name.startswith(GYM_PREFIX) or name.endswith(".jsonl") or _OBJECT_PLACE.fullmatch(name)
    if name not in known and re.split("[:=]", name)[0] not in DATASET_LAYOUTS and not is_place:
        if Path(name).suffix in (*ROW_FILE_SUFFIXES, ".txt", ".tsv"):
            raise _make_ending_error(name)
        raise TaskError(
            f"unknown task {name!r}",
            f"{suggest_path(name)}{suggest_names(name, known)} A path that ends in .jsonl, or package.module:Class,"
            " names a task of your own.",
        )


def _make_ending_error(name: str) -> TaskError:
    """What is wrong with a file of another ending than .jsonl, with the near file that has it."""
    lines = Path(name).with_suffix(".jsonl")
    near = f"Did you mean {str(lines)!r}? " if lines.exists() else suggest_path(lines)
    return TaskError(
        f"{name!r} is no task: a file of questions of your own must end in .jsonl",
        f'{near}Write one object on each line: {{"question": "...", "answer": "12"}}. Rows of a known dataset'
        f" are read by its name: gsm8k={name}.",
    )


def load_dataset_task(name: str) -> DatasetTask:
    """The dataset that `name` names.

    Args:
        name: FAMILY or FAMILY:PART, for example ``"gsm8k"`` or ``"bbh:object_counting"``; either followed by =PATH for
            a local file with the same rows.

    Raises:
        TaskError: the family is unknown, the part is missing or not offered, or the rows cannot be read.
    """
    choice, _, path = name.partition("=")
    family, _, part = choice.partition(":")
    check_choice(family, DATASET_LAYOUTS, "dataset", TaskError)
    layout = DATASET_LAYOUTS[family]
    if part and not layout.part:
        raise TaskError(f"the dataset {family} has no parts, got {name!r}", f"Pass {family!r} without a part.")
    if part:
        layout = replace(layout, **{layout.part: part})
    if path:
        rows = read_rows(Path(path))
    elif family == "bbh" and not part:
        raise TaskError("the dataset bbh has many parts, and none was given", "Name one of them: bbh:object_counting.")
    else:
        rows = load_hub_rows(layout.hub, layout.config, layout.split, layout.revision)
    return (Bbq if family == "bbq" else DatasetTask)(name, layout, rows)


def _find_entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _describe_installed(point: EntryPoint) -> str:
    try:
        return read_summary(load_installed(point, "task", TaskError))
    except TaskError as error:
        return f"Broken: {error.problem}."


def _make_task(source: object, name: str) -> Task:
    """`source` as a task: a class is called without arguments, and what it makes must follow the protocol `Task`."""
    if isinstance(source, type):
        try:
            source = source()
        except TypeError as error:
            fix = "Give each argument of its __init__ a default, or pass the task object itself from Python."
            raise TaskError(f"the task class {name} cannot be called without arguments: {error}", fix) from error
    if isinstance(source, Task):
        fix = 'Write stems = (fl.tasks.Stem(" The answer is ", "."),), with one or more.'
        check_type(source.stems, Sequence, f"`stems` of the task {name}", fix, TaskError)
        for stem in source.stems:
            check_type(stem, Stem, f"each of `stems` of the task {name}", fix, TaskError)
        return source
    missing = [member for member in vars(Task) if not member.startswith("_") and not hasattr(source, member)]
    raise TaskError(
        f"{name} is no task: it lacks {', '.join(missing)}",
        "Pass the name of a task, or add these members to your own: help(fl.tasks.Task) says what each is.",
    )


def read_summary(described: object) -> str:
    """The first paragraph of a docstring, on one line; of the class where an object has no docstring of its own."""
    return " ".join((getdoc(described) or "").partition("\n\n")[0].split())
