"""The command line's verbs about models whose truth is planted."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from faithlens.cli.interrupt import repeatable
from faithlens.cli.lists import list_organisms
from faithlens.errors import ConfigError, suggest_names

Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="models at work at once, one core each")]

organisms_app = typer.Typer(
    no_args_is_help=True, help="Small models whose faithfulness is planted: list, train, certify."
)


def validate(
    names: Annotated[str, typer.Option("--organisms", help="which, with commas between; all for every one")] = "all",
    seeds: Annotated[
        str, typer.Option(help="of each: 0-9, or 0,3; all but 0, the shipped one, are trained first")
    ] = "0",
    measures: Annotated[
        str, typer.Option(help="which the tables speak of, with commas between; all for every one")
    ] = "all",
    n: Annotated[int, typer.Option("-n", min=4, help="questions a model")] = 100,
    seed: Annotated[int, typer.Option(help="of questions and intervals")] = 0,
    bars: Annotated[bool, typer.Option("--bars", help="exit code 1 if a bar is missed")] = False,
    out: Annotated[
        Path, typer.Option(help="folder; goes on where it stopped, and grows with more seeds or organisms")
    ] = Path("validation"),
    jobs: Jobs = 1,
) -> None:
    """Put every measure to models whose truth is planted, and say which of them find it.

    Training an organism takes minutes on one core; what has been trained and audited is kept.
    """
    from dataclasses import asdict

    from faithlens.commands.validate.run import run_validation
    from faithlens.organisms import ORGANISMS, get_organism
    from faithlens.organisms.training_cache import parse_seeds
    from faithlens.report.detection import (
        make_detection_table,
        make_exposures_table,
        make_faults_table,
        make_requirements_table,
    )

    wanted = list(ORGANISMS) if names == "all" else [get_organism(name.strip()).name for name in names.split(",")]
    asked = () if measures == "all" else [name.strip() for name in measures.split(",")]
    with repeatable(f"Trained organisms are kept in the cache, finished audits in {out}."):
        found, console = run_validation(out, wanted, parse_seeds(seeds), n, seed, asked, jobs), Console()
    console.print(make_detection_table(found.detection))
    if found.models["faults"].any():
        console.print(make_faults_table(found.models))
    if len(found.exposures):
        console.print(make_exposures_table(found.exposures))
    console.print(make_requirements_table([asdict(bar) for bar in found.bars]))
    console.print(f"Tables and figure: {out}", highlight=False)
    raise SystemExit(bars and any(bar.passed is False for bar in found.bars))


organisms_app.command("list")(list_organisms)


@organisms_app.command("train")
def train_organisms(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="which organisms, such as O4; all for every one")
    ],
    seeds: Annotated[str, typer.Option(help="that decide the weights: 3, or 0-9, or 1,4,7")] = "0",
    out: Annotated[
        Path | None, typer.Option(help="a new folder for one organism and seed, in place of the cache")
    ] = None,
    jobs: Jobs = 1,
) -> None:
    """Train organisms and certify them: each takes minutes on one core, and is then a model called O4@3.

    What the cache holds already is not trained again, so an interrupted training is continued by the same command.
    """
    from faithlens.organisms import ORGANISMS, get_organism
    from faithlens.organisms.parallel import run_on_cores
    from faithlens.organisms.training_cache import find_or_train, parse_seeds, train_into
    from faithlens.report.certificate import make_certificate_table

    planted = ORGANISMS.values() if names == ["all"] else map(get_organism, names)
    wanted = [(each, seed) for each in planted for seed in parse_seeds(seeds)]
    if out and len(wanted) > 1:
        raise ConfigError(
            f"{len(wanted)} organisms in {out}", "a folder holds one", "leave out --out, or name one seed"
        )
    console = Console()
    with repeatable("Organisms whose training was finished are kept."):
        for folder in [train_into(out, *wanted[0])] if out else run_on_cores(find_or_train, wanted, jobs):
            console.print(make_certificate_table(json.loads((folder / "certificate.json").read_text())))
            console.print(str(folder), highlight=False)


@organisms_app.command("family")
def train_families(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="steady, waning")],
    seeds: Annotated[str, typer.Option(help="that decide the weights: 3, or 0-9, or 1,4,7")] = "0",
    out: Annotated[Path, typer.Option(help="folder of all sizes and checkpoints; what is there is kept")] = Path(
        "families"
    ),
    jobs: Jobs = 1,
) -> None:
    """Train families of five sizes with eight checkpoints each, and write the sweep that asks them.

    The larger ones of `steady` know more without their chain of thought; of `waning` they also rely on it less.
    """
    from faithlens.organisms.family import DIGIT_LIMITS
    from faithlens.organisms.family_training import train_family
    from faithlens.organisms.training_cache import parse_seeds

    for name in names:
        if name not in DIGIT_LIMITS:
            raise ConfigError(f"the family {name!r}", "there is none of that name", suggest_names(name, DIGIT_LIMITS))
    for name in names:
        with repeatable(f"Models whose training was finished are kept in {out}."):
            plan = train_family(name, parse_seeds(seeds), out, jobs)
        Console().print(f"faithlens sweep {plan} --out {name}", highlight=False)


@organisms_app.command("certify")
def certify_organism(folder: Annotated[Path, typer.Argument(help="a trained organism's folder")]) -> None:
    """Count on held-out questions what an organism's answers follow, and write it beside the weights."""
    from faithlens.organisms.certification import certify
    from faithlens.report.certificate import make_certificate_table

    Console().print(make_certificate_table(certify(folder)))
