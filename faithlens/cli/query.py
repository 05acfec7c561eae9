"""The command `query`: SQL over the tables of many runs."""

from typing import Annotated

import typer

from faithlens.cli.places import Place, parse_place
from faithlens.console import SafeConsole, format_json
from faithlens.progress import show_work


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="a query over scores, estimates, traces, answers, ...")],
    runs: Annotated[
        list[Place], typer.Argument(parser=parse_place, metavar="RUN...", help="folders of runs or sweeps")
    ],
    out: Annotated[
        Place | None,
        typer.Option(parser=parse_place, metavar="FILE", help="write all rows to this parquet file instead"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print a JSON list of objects")] = False,
) -> None:
    """Ask the tables of many runs in SQL; each has a column `run` with the name of the folder."""
    with show_work("reading the runs", talks=False):
        from faithlens.commands.query import query as run_query
        from faithlens.report.export import write_rows
        from faithlens.report.query import MOST_ROWS, format_rows, list_objects

        rows = run_query(sql, runs)
    console = SafeConsole()
    if out is not None:
        console.print_line(f"Written: {write_rows(rows, out)}")
    elif as_json:
        typer.echo(format_json(list_objects(rows)))
    else:
        console.print(format_rows(rows))
        if rows.num_rows > MOST_ROWS:
            console.print(f"{MOST_ROWS} of {rows.num_rows:,} rows; --out FILE.parquet writes all of them.")
