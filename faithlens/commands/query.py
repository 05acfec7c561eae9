"""`faithlens query`: SQL over the tables of many runs at once, by DuckDB.

Each table of a run folder (scores, estimates, traces, ...) is a table of the query; it has the rows of all runs and a
column `run` with the name of the folder. For example, ``SELECT run, avg(value) FROM scores WHERE measure =
'accuracy.full' GROUP BY run``.

The rows of each table whose name stands in the query are checked first, one file after the other. Then DuckDB reads the
columns and row groups that the query needs, so the tables may be much larger than memory.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa

from faithlens.commands.view import find_runs, name_folders
from faithlens.errors import ConfigError, describe_foreign, list_several
from faithlens.store import SCHEMAS, Run, find_place
from faithlens.store.places import Place, get_store, is_address


def query(sql: str, runs: str | Place | Sequence[str | Place]) -> pa.Table:
    """The result of a SQL query over the tables of some runs.

    Args:
        sql: one query in DuckDB's SQL; its tables are those of a run folder, with a column `run`.
        runs: folders or addresses of runs or sweeps. The digests of all their files are checked first, and the rows of
            the tables that the query names.

    Returns:
        The rows of the result.

    Raises:
        ConfigError: DuckDB is not installed, or it refuses the query.
        RunError: as `Run.open`, or a table of the query has rows that could not have been written.
    """
    try:
        duckdb = import_module("duckdb")
    except ImportError as error:
        fix = "Install it: pip install 'faithlens[query]'."
        raise ConfigError("queries run in DuckDB, which is not installed", fix) from error
    folders = find_runs([find_place(each) for each in list_several(runs)])
    opened = dict(zip(name_folders(folders), [Run.open(folder) for folder in folders], strict=True))
    for table in (table for table in SCHEMAS if table in sql.casefold()):
        for run in opened.values():
            run.check_table_files(_list_files(run, table))
    never = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(":memory:", config=never) as connection:
        for run in opened.values():
            if is_address(run.path):
                connection.register_filesystem(get_store(run.path)[0])
        tables = {name: text for name in SCHEMAS if (text := _select_rows(name, opened))}
        try:
            for name, text in tables.items():
                connection.execute(f"CREATE VIEW {name} AS {text}")
            relation = connection.sql(sql)
            rows = None if relation is None else relation.to_arrow_table()
        except duckdb.Error as error:
            problem = f"DuckDB refuses the query: {describe_foreign(error)}"
            raise ConfigError(problem, _describe_tables(tables)) from error
    if rows is None:
        raise ConfigError("the query has no rows as its result", "Write a query that starts with SELECT or WITH.")
    return rows


def _select_rows(table: str, runs: dict[str, Run]) -> str:
    """The query for the rows of one table in all runs; empty where no run has it."""
    selects = [
        f"SELECT {_quote(name)} AS run, * FROM read_parquet([{', '.join(map(_quote, files))}], union_by_name = true)"
        for name, run in runs.items()
        if (files := [_name_for_duckdb(run.path / file) for file in _list_files(run, table)])
    ]
    return " UNION ALL BY NAME ".join(selects)


def _list_files(run: Run, table: str) -> list[str]:
    """The one file of a table in a finished run; the parts of the table in a growing run."""
    return [name] if (name := f"{table}.parquet") in run.files else run.list_table_files(table)


def _name_for_duckdb(file: Place) -> str:
    """A place as DuckDB reads it; the characters that would make it a pattern are escaped."""
    text = str(file) if is_address(file) else str(file.resolve())
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _describe_tables(tables: dict[str, Any]) -> str:
    columns = "; ".join(f"{name}: {', '.join(['run', *SCHEMAS[name].names])}" for name in tables)
    return f"The tables and their columns are {columns}." if columns else "The runs hold no tables yet."
