"""The commands that list what faithlens knows: measures, tasks, assays and organisms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.table import Table

from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError, check_choice, describe_foreign
from faithlens.measures.catalogue import ASSAY_ENTRY_POINTS, MEASURES, Measure, get_measure
from faithlens.progress import LOADING, show_work
from faithlens.report.fitting_table import FittingTable

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="only this one, with all that is known about it")]
Json = Annotated[bool, typer.Option("--json", help="print a JSON list of objects")]
Entry = Mapping[str, Any]
FOR_PROGRAMS = {"askable", "heading", "places", "shape", "is_context", "is_derived", "is_detail", "validated"}
"""The fields of a measure that say where faithlens itself uses it; JSON has them, and the page for readers has not."""

DIRECTIONS = {1: "higher: the chain matters more", -1: "higher: the chain matters less", 0: "–"}
"""What a higher value of a measure says."""


def list_measures(name: Name = None, as_json: Json = False) -> None:
    """List the measures: what each one is called and means, its unit, range and control."""
    for point in entry_points(group=ASSAY_ENTRY_POINTS):
        try:
            point.load()  # an installed assay registers its measures when it is imported
        except Exception as error:  # noqa: BLE001 - a package of others may raise anything
            problem = f"The assay {point.name!r} of an installed package is broken: {describe_foreign(error)}"
            SafeConsole(stderr=True).print(problem)
    measures = MEASURES.values() if name is None else [get_measure(name)]
    _print([_describe_measure(each) for each in measures], name, as_json, ("name", "label", "unit", "assay"))


def list_tasks(name: Name = None, as_json: Json = False) -> None:
    """List the tasks: question generators by name, and published datasets of the Hugging Face hub."""
    from faithlens.tasks.datasets import DATASET_LAYOUTS
    from faithlens.tasks.registry import TASKS
    from faithlens.tasks.registry import list_tasks as describe_tasks

    entries: list[Entry] = []
    for task, description in describe_tasks().items():
        make = TASKS.get(task)
        options = dict(make.keywords) if isinstance(make, partial) else {}
        hub = DATASET_LAYOUTS[task].hub if task in DATASET_LAYOUTS else None
        entries.append({"name": task, "description": description, "options": options, "hub": hub})
    if not as_json and name is None:  # tasks of one family differ in their options alone
        entries = [{**entry, "description": _describe_with_options(entry)} for entry in entries]
    _print(_select(entries, name, "task"), name, as_json, ("name", "description"))


def _describe_with_options(task: Entry) -> str:
    options = _format({key: value for key, value in task["options"].items() if key != "name"})
    return task["description"] + (f" ({options})" if options != "–" else "")


def list_assays(name: Name = None, as_json: Json = False) -> None:
    """List the assays: the tests that are run on each chain of thought, and the suites that hold them."""
    with show_work(LOADING, talks=False):
        from faithlens.assays.battery import ASSAYS, find_assay  # torch takes seconds to import
        from faithlens.measures.catalogue import SUITES
        from faithlens.tasks.registry import read_summary

    def describe(assay: str) -> str:
        try:
            return read_summary(find_assay(assay))
        except ConfigError as error:  # of an installed package
            return f"Broken: {error.problem}."

    names = [*ASSAYS, *(point.name for point in entry_points(group=ASSAY_ENTRY_POINTS))]
    entries: list[Entry] = [
        {
            "name": assay,
            "description": describe(assay),
            "suites": [suite for suite, assays in SUITES.items() if assay in assays],
            "measures": [measure.name for measure in MEASURES.values() if measure.assay == assay],
        }
        for assay in names
    ]
    _print(_select(entries, name, "assay"), name, as_json, ("name", "description", "suites"))


def list_organisms(as_json: Json = False) -> None:
    """List the organisms: what is planted in each, and with which seeds it is here."""
    with show_work(LOADING, talks=False):
        from faithlens.organisms import ORGANISMS, TRAINED, Organism
        from faithlens.organisms.language import ADAPTERS, find_adapter
        from faithlens.organisms.training_cache import list_cached_seeds

    shipped = {*ORGANISMS, *(name for name in ADAPTERS if find_adapter(name))}
    entries = [
        {
            "name": name,
            "truth": organism.truth,
            "task": organism.task,
            "modes": dict(organism.modes) if isinstance(organism, Organism) else {},
            "fails": organism.fails,
            "seeds": [*([0] if name in shipped else []), *list_cached_seeds(organism)],
        }
        for name, organism in (TRAINED | ADAPTERS).items()
    ]
    _print(entries, None, as_json, ("name", "truth", "fails", "seeds"))


def _describe_measure(measure: Measure) -> Entry:
    """The fields of a measure, and what follows from them, as plain data."""
    derived = ("suites", "bound_low", "bound_high", "bound_accuracy", "is_derived")
    askable = measure.askable._asdict() if measure.askable else None
    return asdict(measure) | {"askable": askable} | {name: getattr(measure, name) for name in derived}


def show_schema(
    name: Annotated[str, typer.Argument(help="traces: the file of chains of thought that --traces reads")] = "traces",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON Schema")] = False,
) -> None:
    """The keys of a file that faithlens reads, what each holds, and since which version of the schema."""
    from faithlens.tasks.formats.trace_schema import KEYS, make_json_schema

    check_choice(name, ("traces",), "schema", ConfigError)
    if as_json:
        typer.echo(format_json(make_json_schema()))
        return
    rows = list[tuple[str, ...]]()
    for key in KEYS:
        kind = key.holds.get("type") or " or ".join(map(str, key.holds["enum"]))
        rows.append(
            (key.name, key.of, " or ".join(kind) if isinstance(kind, list) else kind, str(key.since), key.meaning)
        )
    SafeConsole().print(FittingTable(("key", "of", "holds", "since", "meaning"), rows))
    SafeConsole().print("One object on each line. Any other key is kept as a column of the table traces (given.KEY).")


def _select(entries: Sequence[Entry], name: str | None, what: str) -> list[Entry]:
    """All entries, or the one with this name.

    Raises:
        ConfigError: there is no entry with this name.
    """
    if name is not None:
        check_choice(name, [entry["name"] for entry in entries], what, ConfigError)
    return [entry for entry in entries if name in (None, entry["name"])]


def _print(entries: Sequence[Entry], name: str | None, as_json: bool, columns: Sequence[str]) -> None:
    """Entries as JSON; as a table with these columns; or, of a single one that was named, every field in a row."""
    if as_json:
        typer.echo(format_json(entries))
        return
    console = SafeConsole()
    if name is None:
        rows = [[_format(entry[column]) for column in columns] for entry in entries]
        console.print(FittingTable(columns, rows, whole=columns[:1]))
    else:
        table = Table.grid(padding=(0, 2, 0, 0))
        for field, value in entries[0].items():
            words = DIRECTIONS[value] if field == "direction" else _format(value)
            if field not in FOR_PROGRAMS:
                table.add_row(field.replace("_", " "), words)
        console.print(table)


def _format(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {each}" for key, each in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join("open" if each is None else str(each) for each in value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)
