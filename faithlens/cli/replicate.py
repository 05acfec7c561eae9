"""The command that reads the released files of a paper: `replicate`."""

from pathlib import Path
from typing import Annotated

import typer

from faithlens.console import SafeConsole, format_json
from faithlens.progress import show_work


def replicate_paper(
    source: Annotated[str, typer.Argument(help="turpin, iphr, fur or thought-branches")],
    folder: Annotated[Path, typer.Argument(help="folder of the files that the authors released")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of a table")] = False,
) -> None:
    """Make a published table again from the released files: the paper's numbers, ours, the differences and why."""
    with show_work(f"reading {folder}", talks=False):
        from faithlens.commands.replicate.run import replicate
        from faithlens.report.replicate import format_replication

        replication = replicate(source, folder).to_dict()
    if as_json:
        typer.echo(format_json(replication))
    else:
        SafeConsole().print(format_replication(replication))
