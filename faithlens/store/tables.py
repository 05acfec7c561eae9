"""The tables of a run: their columns, what a row must hold, and the order of the rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from faithlens.errors import RunError, check_choice
from faithlens.measures.catalogue import check_value
from faithlens.store.files import quote_key
from faithlens.store.places import Place

TEXT, TEXTS, INT = pa.string(), pa.list_(pa.string()), pa.int64()
INTS, REAL, REALS = pa.list_(pa.int64()), pa.float64(), pa.list_(pa.float64())


def _make_schema(required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType]) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in optional.items()])


SCHEMAS: dict[str, pa.Schema] = {
    "traces": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "prompt": TEXT, "cot": TEXT, "steps": TEXTS}
        | {"answer": TEXT, "finish": TEXT, "n_tokens": INT, "seed": INT},
        {"predicted": TEXT, "candidates": TEXTS, "stem": TEXT, "temperature": REAL, "top_p": REAL, "sample": INT}
        | {"said": TEXT, "counterfactual": TEXT, "counterfactual_source": TEXT, "given_answer": TEXT},
    ),
    "answers": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "condition": TEXT, "logprobs": REALS}, {"sample": INT}
    ),
    "edits": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "sample": INT, "condition": TEXT, "step": INT, "kind": TEXT}
        | {"by": TEXT, "before": TEXT, "after": TEXT, "tail": TEXT},
        {"invalid": TEXT, "implied": TEXT, "answer": TEXT, "outcome": TEXT},
    ),
    "drafts": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "sample": INT, "name": TEXT, "prompt_ids": INTS, "ids": INTS}
        | {"text": TEXT, "finish": TEXT, "seed": INT},
        {"logprobs": REALS, "unusable_reason": TEXT},
    ),
    "hinted_chains": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "sample": INT, "condition": TEXT, "kind": TEXT, "label": TEXT}
        | {"prompt": TEXT, "cot": TEXT, "answer": TEXT, "plain_cot": TEXT, "plain_answer": TEXT},
        {},
    ),
    "judgements": _make_schema(
        {"reader": TEXT, "repeat": INT, "asks": TEXT, "digest": TEXT, "kind": TEXT, "label": TEXT, "reply": TEXT},
        {"judged": TEXT, "reason": TEXT},
    ),
    "scores": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "condition": TEXT, "measure": TEXT, "unit": TEXT},
        {"sample": INT, "step": INT, "fraction": REAL, "value": REAL, "reason": TEXT, "weight": REAL},
    ),
    "estimates": _make_schema(
        {"model": TEXT, "task": TEXT, "measure": TEXT, "n_used": INT, "n_dropped": INT}
        | {"unit": TEXT, "method": TEXT, "seed": INT},
        {"fraction": REAL, "step": INT, "value": REAL, "low": REAL, "high": REAL, "reason": TEXT},
    ),
}
"""Columns of each table. A column that is not here is refused; optional columns may be left out."""

GIVEN = "given."
"""The start of the names of further columns of `traces`: what a file of chains says of each chain, as text."""
GIVEN_STEPS = "given_steps."
"""The start of the names of columns that say something of each step: a list of texts, in the order of the steps."""

ORDER: dict[str, list[str]] = {
    "traces": ["model", "task", "question", "sample", "seed"],
    "answers": ["model", "task", "question", "sample", "condition"],
    "edits": ["model", "task", "question", "sample", "kind", "condition", "step"],
    "drafts": ["model", "task", "question", "sample", "name"],
    "hinted_chains": ["model", "task", "question", "sample", "condition"],
    "judgements": ["reader", "asks", "digest", "repeat"],
    "scores": ["model", "task", "question", "sample", "measure", "condition", "step", "fraction"],
    "estimates": ["model", "task", "measure", "fraction", "step"],
}
"""The keys each finished table is sorted by, so that the same seed writes the same table."""

Rows = pd.DataFrame | Iterable[Mapping[str, Any]]


def get_schema(table: str) -> pa.Schema:
    """The columns of a table. Raises RunError where there is no table of this name."""
    check_choice(table, SCHEMAS, "table", RunError)
    return SCHEMAS[table]


def name_part(table: str, key: str) -> str:
    """The place of the part `key` of a table in a run folder. Raises RunError where there is no table of this name."""
    get_schema(table)
    return f"parts/{table}/{quote_key(key)}.parquet"


def check_rows(table: str, rows: Rows) -> pa.Table:
    """`rows` in the schema of the table.

    Raises:
        RunError: a column is unknown, missing or of another type; or a row has not exactly one of value and reason.
        MeasureError: a score is of an unknown measure, or its value lies outside the range of the measure.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    schema = add_given_columns(table, frame.columns)
    unknown = [name for name in frame.columns if name not in schema.names]
    missing = [field.name for field in schema if not field.nullable and field.name not in frame.columns]
    if unknown or (missing and len(frame)):
        problem = f"rows of {table} have unknown columns {unknown} and lack the columns {missing}"
        raise RunError(problem, f"The columns of {table} are {', '.join(schema.names)}.")
    try:
        blank = [name for name in schema.names if name not in frame.columns or frame[name].isna().all()]
        filled = frame.assign(**{name: pd.Series(None, frame.index, dtype=object) for name in blank})
        data = pa.Table.from_pandas(filled[schema.names], schema, preserve_index=False)
    except (pa.ArrowException, ValueError) as error:
        problem = f"rows of {table} have values of the wrong type: {error}"
        raise RunError(problem, f"Give each column its type: {schema}") from error
    _check_values(table, frame)
    return data.replace_schema_metadata(None)


def parse_table(content: bytes) -> pa.Table:
    """The rows in a file. Raises ValueError, as the end of a sentence, where it holds none."""
    try:
        return pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise ValueError("holds no table") from error


def check_columns(table: str, rows: pa.Table) -> None:
    """Raise ValueError, as the end of a sentence, where a file has other columns than its table."""
    schema = add_given_columns(table, rows.column_names)
    types = {field.name: field.type for field in schema}
    is_known = all(field.name in types and field.type == types[field.name] for field in rows.schema)
    if not is_known or any(not field.nullable and field.name not in rows.column_names for field in schema):
        raise ValueError(f"does not have the columns of {table}")


def write_parquet(path: Place, data: pa.Table) -> None:
    """Write a table to a file. Raises OSError where it cannot be written."""
    with path.open("wb") as file:  # pyarrow takes UTF-8 paths only
        pq.write_table(data, file)


def add_given_columns(table: str, names: Iterable[str]) -> pa.Schema:
    """The columns of a table, with those of `names` that a file of chains brought."""
    schema = get_schema(table)
    if table == "traces":
        kinds = {
            name: TEXT if name.startswith(GIVEN) else TEXTS for name in names if name.startswith((GIVEN, GIVEN_STEPS))
        }
        schema = pa.schema([*schema, *(pa.field(name, kind) for name, kind in kinds.items())])
    return schema


def _check_values(table: str, frame: pd.DataFrame) -> None:
    """A number is finite or missing with a reason; a score has one of both, and a value in the range of its measure."""
    if "value" not in SCHEMAS[table].names or frame.empty:
        return
    blank = pd.Series(None, index=frame.index, dtype=object)
    value, reason = frame.get("value", blank), frame.get("reason", blank)
    wrong = value.isna() & reason.isna() | np.isinf(pd.to_numeric(value, errors="coerce").fillna(0))
    if table == "scores":
        wrong |= value.notna() & reason.notna()
    if wrong.any():
        row = frame[wrong].iloc[0].to_dict()
        problem = f"{int(wrong.sum())} rows of {table} do not have exactly one of finite value and reason; first: {row}"
        raise RunError(problem, "Give a finite value, or no value and the reason.")
    if table == "scores":
        for measure, values in pd.to_numeric(value).groupby(frame["measure"]):
            for end in (None, values.min(), values.max()):
                check_value(str(measure), None if pd.isna(end) else float(end))


def sort_rows(table: str, data: pa.Table) -> pa.Table:
    """The rows in the order of a finished table."""
    return data.sort_by([(name, "ascending") for name in ORDER[table]])


def to_frame(data: pa.Table) -> pd.DataFrame:
    """The table for pandas; a whole number that is missing stays missing."""
    return data.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


GATE_COLUMNS = (
    "model", "task", "gate", "asks", "status", "n_asked", "n_passed", "n_failed", "n_open", "low", "high",
    "question", "reason",
)  # fmt: skip


def make_gate_table(subjects: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The gates of some models and tasks as a table.

    Args:
        subjects: entries of verdict.json.

    Returns:
        One row for each model, task and gate, in the order in which the gates are asked: the question that the gate
        `asks`, its `status`, the numbers of questions, the 95 % interval (`low` to `high`) of the share of questions
        that fail, and a `question` that shows it with the `reason`. Without such a question, `reason` says why the gate
        could not be tested or asked.
    """
    rows = [
        {"model": subject["model"], "task": subject["task"], **gate, **(gate["example"] or {})}
        for subject in subjects
        for gate in subject["gates"]
    ]
    return pd.DataFrame(rows, columns=list(GATE_COLUMNS))
