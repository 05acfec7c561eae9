"""A finished run for other tools: one tidy table of scores, or a folder that Hugging Face's `datasets` reads."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from faithlens.errors import ConfigError, RunError, check_choice, suggest_names
from faithlens.report.card import make_card
from faithlens.store import INT, SCHEMAS, TEXT, Run, add_given_columns, write_atomically
from faithlens.store.files import flush_file, flush_folder, make_write_error
from faithlens.store.places import Place, exists, is_address

ExportForm = Literal["parquet", "dataset"]
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)
OTHER_FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xlsx")  # a parquet file is not called so
DATASET_TABLES = ("scores", "estimates", "traces", "edits")
"""What a dataset holds, a configuration each; the first is read where none is named."""

QUESTION_FACTS = pa.schema(
    {"answer": TEXT, "predicted": TEXT, "correct": pa.bool_(), "finish": TEXT, "n_steps": INT, "n_tokens": INT}
)
"""What the tidy table says of each score's question; missing where no chain of thought could be used."""


def export_run(run: Run, out: Place, form: ExportForm) -> Place:
    """Write a finished run as `form` and return where it stands, whole or not at all.

    "parquet": `out` is the file, one row a score with the facts of its question beside it. "dataset": `out` is a folder
    with ``data/<table>.parquet`` and a README.md that Hugging Face shows as the card.

    Raises:
        RunError: the run is not finished, or `out` is there already and is not an empty folder.
    """
    check_choice(form, EXPORT_FORMS, "export form")
    _check_unused(out)
    if form == "parquet":
        write_rows(make_tidy_table(run), out)
    else:
        tables = {name: _read_table(run, name) for name in DATASET_TABLES if name != "edits" or run.has_table(name)}
        if is_address(out):
            problem = f"a dataset is a folder of several files, and {out} is an address of a store"
            raise RunError(problem, "Name a folder of this machine, or export the run as parquet.")
        with _make_whole_folder(out) as folder:
            (folder / "data").mkdir()
            for name, table in tables.items():
                pq.write_table(table, folder / "data" / f"{name}.parquet")
            text = make_card(run, {name: table.schema.names for name, table in tables.items()})
            (folder / "README.md").write_text(text, encoding="utf-8")
    return out


def write_rows(rows: pa.Table, out: Place) -> Place:
    """Write rows to a new parquet file, whole or not at all. Raises RunError where `out` is there already."""
    _check_unused(out)
    if out.suffix.lower() in OTHER_FORMATS:
        problem = f"the rows are written as parquet, and {out} has the name of another format"
        fix = f"Name the file {out.stem}.parquet; pandas.read_parquet reads it, and its to_csv writes a text."
        raise ConfigError(problem, fix)
    with write_atomically(out) as temporary, temporary.open("wb") as file:
        pq.write_table(rows, file)
    return out


def make_tidy_table(run: Run) -> pa.Table:
    """One row a score: the columns of the scores table, then the `QUESTION_FACTS` of its question.

    Raises RunError where the run is not finished, or a question has several chains of thought that nothing tells apart.
    """
    scores, traces = run.read("scores"), run.read("traces")
    keys = [key for key in ("model", "task", "question", "sample") if key in scores and key in traces]
    facts = traces.assign(n_steps=traces["steps"].map(len), correct=traces["answer"] == traces["predicted"])
    facts["correct"] = facts["correct"].astype("boolean").mask(traces["predicted"].isna() | traces["answer"].eq(""))
    try:
        joined = scores.merge(facts[[*keys, *QUESTION_FACTS.names]], on=keys, how="left", validate="many_to_one")
    except pd.errors.MergeError as error:
        problem = (
            f"{run.path} has several chains of thought of the same {', '.join(keys)}, so one row a score is ambiguous"
        )
        raise RunError(problem, 'Export the run as a "dataset", which keeps its tables apart.') from error
    return _to_arrow(joined, pa.schema([*SCHEMAS["scores"], *QUESTION_FACTS]))


def parse_form(name: str) -> ExportForm:
    """The form that a command-line option names. Raises ConfigError where there is none of that name."""
    for form in EXPORT_FORMS:
        if form == name:
            return form
    raise ConfigError(f"unknown export form {name!r}", suggest_names(name, EXPORT_FORMS))


def _read_table(run: Run, table: str) -> pa.Table:
    frame = run.read(table)
    return _to_arrow(frame, add_given_columns(table, frame.columns))


def _to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False)
    return table.replace_schema_metadata(None)


def _check_unused(out: Place) -> None:
    if exists(out) and not (out.is_dir() and not any(out.iterdir())):
        obstacle = "it is a folder that is not empty" if out.is_dir() else "it is a file already"
        raise RunError(f"cannot export to {out}: {obstacle}", "Name another place, or move away what is there.")


@contextmanager
def _make_whole_folder(out: Place) -> Iterator[Place]:
    """A temporary folder that becomes `out` only when the block ends well."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.glob("**/*"):
            flush_folder(path) if path.is_dir() else flush_file(path)
        flush_folder(temporary)
        os.replace(temporary, out)  # where there is at most an empty folder
        flush_folder(out.parent)
    except OSError as error:
        raise make_write_error(out, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
