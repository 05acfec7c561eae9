"""The tables of a run: their columns, what a row must hold, and the order of the rows."""

from collections.abc import Iterable, Mapping
from math import inf, nan
from typing import Any, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faithlens.console import shorten_line
from faithlens.errors import MeasureError, RunError, check_choice
from faithlens.measures.catalogue import MEASURES, UNITS, check_value
from faithlens.store.files import quote_key
from faithlens.store.places import Place
from faithlens.thoughts import Finish

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

VALIDATION_SCHEMAS: dict[str, pa.Schema] = {
    "validated_models": _make_schema(
        {"organism": TEXT, "seed": INT, "model": TEXT, "mode": TEXT, "faults": TEXT, "fails": TEXT}
        | {"right_verdict": TEXT, "failed_gates": TEXT},
        {"verdict": TEXT, "planted_content": REAL, "planted_question": REAL, "planted_cell": TEXT}
        | {"planted_enforced": pa.bool_(), "planted_after_mistake": TEXT},
    ),
    "validated_scores": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "measure": TEXT}, {"step": INT, "fraction": REAL, "value": REAL}
    ),
}
"""Columns of the tables that `faithlens validate` reads again: what is planted in models, and what was measured."""
_KNOWN_SCHEMAS = SCHEMAS | VALIDATION_SCHEMAS

ROUNDING = 1e-3  # of a log-probability above 0, in nats

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
    "validated_models": ["model", "mode"],
    "validated_scores": ["model", "task", "question", "measure", "step", "fraction"],
}
"""The keys each finished table is sorted by, so that the same seed writes the same table."""

LIMITS = {
    **dict.fromkeys(("sample", "step", "repeat", "n_tokens", "n_used", "n_dropped", "temperature"), (0, inf)),
    **dict.fromkeys(("ids", "prompt_ids"), (0, inf)),
    **dict.fromkeys(("fraction", "top_p", "planted_content", "planted_question"), (0, 1)),
    **{"weight": (1, inf), "logprobs": (-inf, ROUNDING)},
}
"""The least and the most that a number of a column can be, or of a list in it, in whatever table."""

WORDS = {
    "finish": get_args(Finish),
    "outcome": ("follows", "repairs", "ignores", "harmless", "other"),
    "asks": ("saying", "influence"),
    "judged": ("said", "denied", "unsaid", "yes", "no"),
    "unit": tuple(UNITS),
    **dict.fromkeys(("verdict", "right_verdict"), ("trust", "do-not-trust", "undecided")),
}
"""The words that a column can hold, in whatever table."""

Rows = pd.DataFrame | Iterable[Mapping[str, Any]]


def get_schema(table: str) -> pa.Schema:
    """The columns of a table. Raises RunError where there is no table of this name."""
    check_choice(table, _KNOWN_SCHEMAS, "table", RunError)
    return _KNOWN_SCHEMAS[table]


def name_part(table: str, key: str) -> str:
    """The place of the part `key` of a table in a run folder. Raises RunError where there is no table of this name."""
    get_schema(table)
    return f"parts/{table}/{quote_key(key)}.parquet"


def check_rows(table: str, rows: Rows) -> pa.Table:
    """`rows` in the schema of the table.

    Raises:
        RunError: a column is unknown, missing or of another type; a number is not in its range (`LIMITS`); a word is
            none of its column (`WORDS`); or a row has not exactly one of value and reason, or of judged and reason.
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
    _check_values(table, data)
    return data.replace_schema_metadata(None)


def parse_table(table: str, content: bytes) -> pa.Table:
    """The rows in a file of `table`, with all its columns: a column that the file may leave out is blank.

    Raises:
        ValueError: the file holds no table, other columns, a row twice, or a row that `check_rows` refuses; as the end
            of a sentence.
    """
    keys = [field.name for field in get_schema(table) if field.name in ORDER[table] and field.type == TEXT]
    try:
        written = pq.read_schema(pa.BufferReader(content))
        # texts that rows are told apart by are read once each, and compared by their numbers
        read = pq.read_table(pa.BufferReader(content), read_dictionary=keys).unify_dictionaries()
    except (pa.ArrowException, OSError) as error:
        raise ValueError("holds no table") from error
    schema = add_given_columns(table, written.names)
    types = {field.name: field.type for field in schema}
    is_whole = all(field.nullable or field.name in written.names for field in schema)
    if not is_whole or any(types.get(field.name) != field.type for field in written):
        raise ValueError(f"does not have the columns of {table}")
    columns = [read[name] if name in written.names else pa.nulls(read.num_rows, types[name]) for name in types]
    rows = pa.table(columns, names=schema.names)
    if "measure" in types and (unknown := {*rows["measure"].unique().to_pylist()} - {*MEASURES, None}):
        raise ValueError(
            f"has rows of the measure {min(unknown)[:40]!r}, which neither the catalogue nor the run describes"
        )
    try:
        _check_values(table, rows)
    except (RunError, MeasureError) as error:
        raise ValueError(f"cannot be believed: {error.problem}") from error
    return rows.cast(schema)


def _has_gaps(field: pa.Field, column: pa.ChunkedArray) -> bool:
    """Whether a value is missing that every row has, or an element of a list."""
    if not field.nullable and column.null_count:
        return True
    is_list = field.type in (TEXTS, INTS, REALS) and not field.name.startswith(GIVEN_STEPS)
    return is_list and pc.any(pc.is_null(pc.list_flatten(column), nan_is_null=True)).as_py() is True


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


def _check_values(table: str, rows: pa.Table) -> None:
    """No row is there twice, or lacks what each has; a number is in its range, and finite or missing with a reason."""
    schema = add_given_columns(table, rows.column_names)
    if gaps := [field.name for field in schema if _has_gaps(field, rows[field.name])]:
        problem = f"rows of {table} lack {', '.join(gaps)}, or a part of it"
        raise RunError(problem, "Give each row a value there, and no list an empty place.")
    if rows.group_by(ORDER[table]).aggregate([([], "count_all")]).num_rows < rows.num_rows:
        problem = f"rows of {table} have the same {', '.join(ORDER[table])}"
        raise RunError(problem, "Give each row once; what differs between two rows belongs into one of these columns.")
    for name in (name for name in rows.column_names if name in LIMITS):
        for number in _find_ends(rows[name]):
            if not LIMITS[name][0] <= number <= LIMITS[name][1]:
                problem = f"{name} of {table} must lie between {LIMITS[name][0]} and {LIMITS[name][1]}, got {number:g}"
                raise RunError(problem, "Give each row a number in this range, or none.")
    for name in (name for name in rows.column_names if name in WORDS):
        if unknown := {*rows[name].unique().to_pylist()} - {*WORDS[name], None}:
            problem = f"{name} of {table} must be one of {', '.join(WORDS[name])}, got {min(unknown)[:40]!r}"
            raise RunError(problem, "Give each row one of these words, or none where the column may be blank.")
    if "reason" in rows.column_names:
        _check_reasons(table, rows)
    numbers = [name for name in ("value", "low", "high") if name in rows.column_names]
    if numbers and "measure" in rows.column_names:
        ends = rows.group_by(["measure"]).aggregate([(name, end) for name in numbers for end in ("min", "max")])
        for row in ends.to_pylist():
            measure = row.pop("measure")
            for end in row.values():
                check_value(measure, end)


def _find_ends(column: pa.ChunkedArray) -> list[int | float]:
    """The least and the largest number of a column, or of the lists in it: none if it is blank, NaN if it has one."""
    numbers = pc.list_flatten(column) if column.type in (INTS, REALS) else column
    if numbers.type == REAL and pc.any(pc.is_nan(numbers)).as_py():
        return [nan]
    return [end for end in pc.min_max(numbers).as_py().values() if end is not None]


def _check_reasons(table: str, rows: pa.Table) -> None:
    """Each row has what it states, or the reason why not; only an estimate may have both."""
    stated = "value" if "value" in rows.column_names else "judged"
    is_missing, has_reason = pc.is_null(rows[stated], nan_is_null=True), pc.is_valid(rows["reason"])
    wrong = pc.and_not(is_missing, has_reason)
    if stated == "value":
        wrong = pc.or_(wrong, pc.fill_null(pc.is_inf(rows[stated]), False))
    if table != "estimates":
        wrong = pc.or_(wrong, pc.and_not(has_reason, is_missing))
    if (bad := rows.filter(wrong)).num_rows:
        row, what = shorten_line(str(bad.to_pylist()[0]), 400), "finite value" if stated == "value" else stated
        problem = f"{bad.num_rows} rows of {table} do not have exactly one of {what} and reason; first: {row}"
        raise RunError(problem, f"Give a {what}, or none and the reason.")


def sort_rows(table: str, data: pa.Table) -> pa.Table:
    """The rows in the order of a finished table."""
    return data.sort_by([(name, "ascending") for name in ORDER[table]])


def to_frame(data: pa.Table) -> pd.DataFrame:
    """The table for pandas; a whole number that is missing stays missing."""
    return data.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get, ignore_metadata=True)


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
