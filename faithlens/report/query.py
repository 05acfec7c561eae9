"""The result of a query as a table for the terminal."""

from decimal import Decimal
from math import isfinite
from typing import Any, cast

import pyarrow as pa

from faithlens.report.fitting_table import FittingTable

MOST_ROWS = 100
"""Rows that are shown; a file takes any number."""


def format_rows(rows: pa.Table) -> FittingTable:
    """The first rows of a result."""
    columns = [column.to_pylist() for column in cast(Any, rows).slice(0, MOST_ROWS).columns]
    return FittingTable(rows.column_names, [[_format_cell(cell) for cell in row] for row in zip(*columns, strict=True)])


def list_objects(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows as plain data for JSON: NaN and infinity become None, and types that JSON lacks (dates) become text."""
    return [{name: _make_plain(value) for name, value in row.items()} for row in rows.to_pylist()]


def _make_plain(value: Any) -> Any:
    if isinstance(value, Decimal):  # a sum of whole numbers
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if isinstance(value, (str, int, list, dict)) or value is None else str(value)


def _format_cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
