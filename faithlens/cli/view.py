"""The command `view`: runs as a page, from a small server on this machine or as a file."""

from typing import Annotated

import typer

from faithlens.cli.places import Place, parse_place
from faithlens.console import SafeConsole
from faithlens.errors import ConfigError
from faithlens.progress import show_work


def view(
    runs: Annotated[
        list[Place],
        typer.Argument(parser=parse_place, metavar="RUN...", help="folders of runs or sweeps, finished or growing"),
    ],
    file: Annotated[
        Place | None,
        typer.Option(
            "--file", parser=parse_place, metavar="FILE", help="write the page to this file and stop, without a server"
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="port of the server [default: a free one]")] = None,
    browser: Annotated[bool, typer.Option(help="open the page in a browser")] = True,
) -> None:
    """Read runs in a browser: verdicts, gates, and every chain of thought with its edits and answers.

    The page is served to this machine only, under an address that nobody can guess. The page of a run that is still
    being written grows with it. Several runs stand on one page. Ctrl-C stops the server; the runs are not changed.
    """
    with show_work("loading the reader of runs", talks=False):
        from faithlens.commands.view import find_runs
        from faithlens.commands.view import view as write_view
        from faithlens.commands.view_server import ViewServer

    console = SafeConsole()
    if file is not None:
        if port is not None:
            raise ConfigError("--port is the port of a server, but --file writes a file", "Leave out one of the two.")
        with show_work("writing the page", talks=False):
            written = write_view(runs, file)
        console.print_line(f"Written: {written}")
        return
    find_runs(runs)  # so that a folder without a run is named before a server starts
    try:
        server = ViewServer(runs, port or 0)
    except OSError as error:
        problem = f"the port {port} cannot be used: {error.strerror or error}"
        raise ConfigError(problem, "Name another --port, or leave it out.") from error
    with server:
        console.print_line(
            f"{server.address}\nOpen this address in a browser on this machine. Ctrl-C stops the server."
        )
        console.file.flush()  # a script that reads the address from a pipe need not wait for the end
        if browser:
            typer.launch(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print_line("Stopped. The runs are as they were.")
