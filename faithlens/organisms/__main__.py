"""Train and certify organisms: `python -m faithlens.organisms train O4 --seed 0 --out DIR`, then `certify DIR`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from faithlens.errors import ConfigError, FaithlensError
from faithlens.organisms import organism
from faithlens.organisms.certify import certify
from faithlens.organisms.train import save, train

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Organisms: small models of planted truth.")


@app.command("train")
def train_command(
    name: Annotated[str, typer.Argument(help="which organism, such as O4")],
    seed: Annotated[int, typer.Option(help="decides the weights")] = 0,
    out: Annotated[Path | None, typer.Option(help="a new folder for the model; ./NAME unless given")] = None,
) -> None:
    """Train an organism into a new folder and certify it."""
    planted, folder = organism(name), out or Path(name)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"to train into {folder}", "the folder is not empty", "name a new folder with --out")
    with Progress() as progress:
        task = progress.add_task(f"training {name}", total=planted.recipe.steps)
        model = train(planted, seed, watch=lambda loss: progress.advance(task))
    save(planted, model, folder)
    show(certify(folder))


@app.command("certify")
def certify_command(folder: Annotated[Path, typer.Argument(help="a trained organism's folder")]) -> None:
    """Count on held-out questions what an organism's answers follow."""
    show(certify(folder))


def show(certificate: dict) -> None:
    """Print a certificate as a table."""
    table = Table(title=f"{certificate['organism']}: {certificate['truth']}")
    for column in ("chain of thought", "follows the truth", "follows the text"):
        table.add_column(column)
    for name, rates in certificate["answers"].items():
        table.add_row(name, *(percent(rates[what]) for what in ("truth", "text")))
    console = Console()
    console.print(table)
    console.print(f"writes the right steps: {percent(certificate['writes_right_steps'])}")
    for mode, found in certificate.get("reliance", {}).items():
        console.print(f"{mode}: follows the text in {percent(found)} of conflicts; planted {found['planted']:.0%}")
    edge = certificate["forbidden_edge_max_logit_change"]
    console.print(f"forbidden edge, largest logit change: {'-' if edge is None else f'{edge:g}'}")


def percent(rate: dict | None) -> str:
    """A rate with its interval, as a person reads it."""
    return "-" if rate is None else f"{rate['value']:.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]  of {rate['n']}"


def main() -> None:
    """Run the command line; an error a user can mend is printed without a traceback, exit code 2."""
    try:
        app()
    except FaithlensError as error:
        Console(stderr=True).print(str(error), highlight=False)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
