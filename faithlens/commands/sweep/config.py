"""The options of a sweep, read from one TOML file; `SWEEP_KEYS` and `FAMILY_KEYS` list its keys.

tasks = ["addition-2d-2", "addition-2d-4", "addition-2d-8"]
n = 100                             # and other options of an audit
measures = ["mediation.content_share"]
sampling = {temperature = 0.8, top_p = 0.95}
difficulty = {digits = ["addition-2d-2", "addition-2d-4", "addition-2d-8"]}     # easiest first

[families.pythia]
models = ["EleutherAI/pythia-70m", "EleutherAI/pythia-410m"]
revisions = ["step1000", "step143000"]                                        # oldest first

[families.null]
models = ["O4"]                     # where no organism is named, the seed is in the name: "runs/small-{seed}"
seeds = [0, 1, 2]
tasks = ["running-sum"]
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from faithlens.assays import battery
from faithlens.config import COUNTS_OF_STEPS, AuditConfig, Subject
from faithlens.errors import ConfigError, TaskError, check_choice, suggest_names
from faithlens.execution.options import BACKEND_CHOICES, Sampling
from faithlens.measures.catalogue import MEASURES, list_measures
from faithlens.model.fetch import sha256
from faithlens.organisms import TRAINED
from faithlens.strict_json import parse_strictly
from faithlens.tasks.registry import load_task as find_task


class ValueKind(NamedTuple):
    """What a value of the file must be: in words, and as a test."""

    description: str
    is_valid: Callable[[Any], bool]


def _make_list_test(kind: type) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and {type(x) for x in value} == {kind} and len(set(value)) == len(value)

    return fits


TEXT = ValueKind("a text", lambda value: isinstance(value, str))
TEXTS = ValueKind("a list of different texts", _make_list_test(str))
WHOLE = ValueKind("a whole number", lambda value: type(value) is int)
WHOLES = ValueKind("a list of different whole numbers", _make_list_test(int))
NUMBER = ValueKind("a number", lambda value: type(value) in (int, float))
SWITCH = ValueKind("true or false", lambda value: isinstance(value, bool))
TABLE = ValueKind("a table", lambda value: isinstance(value, dict))

AUDIT_KEYS = {
    "n": WHOLE, "seed": WHOLE, "suite": TEXT, "assays": TEXTS, "samples": WHOLE, "editor": TEXT,
    "regenerations": WHOLE, "points": WHOLE, "ends": WHOLE, "batch": WHOLE, "backend": TEXT, "budget": WHOLE,
    "device": TEXT, "dtype": TEXT, "sampler": TEXT, "sampler_url": TEXT, "trust_remote_code": SWITCH,
}  # fmt: skip
"""The options of an audit that a sweep takes, by their names in `AuditConfig`."""

SWEEP_KEYS = AUDIT_KEYS | {
    "tasks": TEXTS, "measures": TEXTS, "loss": TEXT, "sampling": TABLE, "difficulty": TABLE, "families": TABLE,
}  # fmt: skip
SAMPLING_KEYS = {"max_new_tokens": WHOLE, "temperature": NUMBER, "top_p": NUMBER}
SEED_SLOT = "{seed}"
"""What stands in a model's name for the seed that it was trained with."""

FAMILY_KEYS = {"models": TEXTS, "revisions": TEXTS, "seeds": WHOLES, "tasks": TEXTS}


@dataclass(frozen=True)
class Member:
    """One model of a sweep, at one checkpoint.

    Attributes:
        family: the family; its models should differ in size only.
        model: its name, as `load` takes it.
        revision: the revision of its weights; None for the default one.
        checkpoint: the place of the revision among those of its family, the oldest 0.
        seed: the seed of its training; 0 if none is named.
        tasks: the tasks on which it is audited.
    """

    family: str
    model: str
    revision: str | None
    checkpoint: int
    seed: int
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class HeldOutFile:
    """A text that no model was trained on, as a file and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class SweepConfig:
    """A sweep's options.

    Attributes:
        members: all models, family by family.
        options: the options of every audit, without its subjects.
        measures: the measures whose change with size and difficulty is estimated.
        difficulty: lists of tasks by name, the easiest task first.
        held_out: the text or texts whose loss is measured, if any.
    """

    members: tuple[Member, ...]
    options: AuditConfig
    measures: tuple[str, ...]
    difficulty: Mapping[str, tuple[str, ...]]
    held_out: HeldOutFile | None = None

    def make_audit_config(self, member: Member, tasks: tuple[str, ...]) -> AuditConfig:
        """The options of one model's audit."""
        return replace(self.options, subjects=tuple(Subject(member.model, task) for task in tasks))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> "SweepConfig":
        """The options that `to_dict` made plain, read from a manifest."""
        return cls(
            tuple(Member(**{**each, "tasks": tuple(each["tasks"])}) for each in entries["members"]),
            AuditConfig.from_dict(entries["options"]),
            tuple(entries["measures"]),
            {name: tuple(tasks) for name, tasks in entries["difficulty"].items()},
            HeldOutFile(**entries["held_out"]) if entries["held_out"] else None,
        )


def read_sweep_config(path: Path) -> SweepConfig:
    """The sweep that a TOML file describes.

    Raises:
        ConfigError: it is no TOML, or a key or a value of it is wrong; the key is named.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"the sweep file {path} cannot be read: {error}", "Name a TOML file, as docs/sweeps.md shows."
        ) from error
    _check_keys(table, SWEEP_KEYS, "")
    _check_keys(table.get("sampling", {}), SAMPLING_KEYS, "sampling.")
    members = tuple(_list_members(table))
    held_out = _read_held_out(path.parent / table["loss"]) if "loss" in table else None
    return SweepConfig(members, _read_options(table), _read_measures(table), _read_difficulty(table, members), held_out)


def _read_held_out(path: Path) -> HeldOutFile:
    read_held_out_texts(path)  # raises a ConfigError where the file cannot be used
    return HeldOutFile(str(path), sha256(path))


class HeldOutText(NamedTuple):
    """A text whose loss is measured, and what is given before it and not counted."""

    text: str
    context: str = ""


def read_held_out_texts(path: Path) -> list[HeldOutText]:
    """The texts in a .jsonl file, "text" on every line and perhaps "given"; any other file is a single text.

    Raises:
        ConfigError: it cannot be read, or a line holds no text.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the file of loss = {str(path)!r} cannot be read: {error}", "Name a text file in UTF-8."
        ) from error
    if path.suffix != ".jsonl":
        return [HeldOutText(content)]
    try:
        lines = [parse_strictly(line) for line in content.split("\n") if line.strip()]
        return [HeldOutText(str(line["text"]), str(line.get("given", ""))) for line in lines]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"the held-out texts in {path} have a line without a text ({error!r})"
        raise ConfigError(problem, 'Write every line like {"text": "..."}.') from error


def _check_keys(table: Mapping[str, Any], kinds: Mapping[str, ValueKind], where: str) -> None:
    for key, value in table.items():
        if key not in kinds:
            raise ConfigError(f"unknown key {where + key!r} in the sweep", suggest_names(key, kinds))
        if not kinds[key].is_valid(value):
            raise ConfigError(f"{where}{key} must be {kinds[key].description}, got {value!r}", "Correct this value.")


def _read_options(table: Mapping[str, Any]) -> AuditConfig:
    """The audits' options. `baselines` is always among the assays: the analysis of size needs accuracies."""
    options = {key: table[key] for key in AUDIT_KEYS if key in table}
    options |= {name: options[name] or None for name in COUNTS_OF_STEPS if name in options}
    if "assays" in options:
        options["assays"] = tuple(battery.select_assays(["baselines", *options["assays"]]))
    check_choice(options.get("backend", AuditConfig.backend), BACKEND_CHOICES, "backend")
    return AuditConfig(subjects=(), sampling=_read_sampling(table.get("sampling", {})), **options)


def _read_sampling(options: Mapping[str, Any]) -> Sampling:
    usual = Sampling()
    return Sampling(
        options.get("max_new_tokens", usual.max_new_tokens),
        float(options.get("temperature", usual.temperature)),
        float(options.get("top_p", usual.top_p)),
    )


def _read_measures(table: Mapping[str, Any]) -> tuple[str, ...]:
    """The scalar measures that the file names; by default those of the catalogue with the place "sweep"."""
    known = [name for name, each in MEASURES.items() if each.shape == "scalar" and (each.assay or each.is_derived)]
    for measure in table.get("measures", ()):
        check_choice(measure, known, "measure in measures")
    return tuple(table.get("measures", [measure.name for measure in list_measures(place="sweep")]))


def _read_difficulty(table: Mapping[str, Any], members: tuple[Member, ...]) -> dict[str, tuple[str, ...]]:
    known = {task for member in members for task in member.tasks}
    orders: Mapping[str, Any] = table.get("difficulty", {})
    _check_keys(orders, dict.fromkeys(orders, TEXTS), "difficulty.")
    for name, order in orders.items():
        for task in order:
            if task not in known:
                problem = f"difficulty.{name} has the task {task!r}, which no family has"
                raise ConfigError(problem, suggest_names(task, known))
    return {name: tuple(order) for name, order in orders.items()}


def _list_members(table: Mapping[str, Any]) -> Iterator[Member]:
    """Every model at every checkpoint or with every seed, none twice."""
    families: Mapping[str, Any] = table.get("families", {})
    _check_keys(families, dict.fromkeys(families, TABLE), "families.")
    seen: set[str] = set()
    for name, family in families.items():
        where = f"families.{name}"
        _check_keys(family, FAMILY_KEYS, f"{where}.")
        if "models" not in family:
            raise ConfigError(f"{where} has no models", "Give it models: hub ids, folders or short names.")
        tasks = _read_tasks(family.get("tasks", table.get("tasks")), where)
        for model in family["models"]:
            for member in _list_versions(where, name, model, family, tasks):
                if member.model in seen:
                    raise ConfigError(
                        f"{member.model} is named twice, the second time in {where}", "Leave one of the two out."
                    )
                seen.add(member.model)
                yield member
    if not seen:
        raise ConfigError("the sweep has no families", 'Write [families.NAME] with models = ["..."].')


def _read_tasks(named: list[str] | None, where: str) -> tuple[str, ...]:
    if named is None:
        raise ConfigError(f"{where} has no tasks, and the file has no tasks for all", 'Write tasks = ["..."].')
    for name in named:
        try:
            find_task(name)
        except TaskError as error:
            raise ConfigError(f"a task of {where} cannot be used: {error.problem}", error.fix) from error
    return tuple(named)


def _list_versions(
    where: str, family: str, model: str, table: Mapping[str, Any], tasks: tuple[str, ...]
) -> Iterator[Member]:
    """One model with all seeds and at all revisions that its family names."""
    for name, seed in _list_seeds(where, model, table.get("seeds")):
        for checkpoint, (called, revision) in enumerate(_list_revisions(where, name, table.get("revisions"))):
            yield Member(family, called, revision, checkpoint, seed, tasks)


def _list_seeds(where: str, model: str, seeds: list[int] | None) -> list[tuple[str, int]]:
    """The names of one model trained with each seed, and the seeds."""
    at = model.partition("@")[2]
    if SEED_SLOT in model and seeds is None:
        raise ConfigError(f"{model!r} in {where} needs seeds, and its family has none", "Write seeds = [0, 1, 2].")
    if seeds is None:
        return [(model, int(at) if _is_organism(model) and at.isdecimal() else 0)]
    if SEED_SLOT in model:
        return [(model.replace(SEED_SLOT, str(seed)), seed) for seed in seeds]
    if not _is_organism(model) or at:
        reason = f"{model!r} has a seed of its own" if _is_organism(model) else f"{model!r} has no place for a seed"
        fix = f"Write {SEED_SLOT} where the name of the model has the seed; an organism (O4) needs none."
        raise ConfigError(f"{where}.seeds cannot be used: {reason}", fix)
    return [(f"{model}@{seed}" if seed else model, seed) for seed in seeds]


def _list_revisions(where: str, model: str, revisions: list[str] | None) -> list[tuple[str, str | None]]:
    """The names of one model at each revision, and the revisions."""
    at = model.partition("@")[2]
    if revisions is None:
        return [(model, None if _is_organism(model) else at or None)]
    if _is_organism(model) or at:
        reason = "is an organism, which has no revisions" if _is_organism(model) else "has a revision of its own"
        fix = "Give revisions only for hub ids and folders without a revision."
        raise ConfigError(f"{where}.revisions cannot be used: {model!r} {reason}", fix)
    joint = "/" if Path(model).expanduser().is_dir() else "@"
    return [(f"{model}{joint}{revision}", revision) for revision in revisions]


def _is_organism(model: str) -> bool:
    return model.partition("@")[0].removeprefix("organism:").upper() in TRAINED
