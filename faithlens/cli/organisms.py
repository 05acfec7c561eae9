"""The commands about organisms: small models whose faithfulness is known."""

import json
from dataclasses import asdict
from itertools import chain, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faithlens.cli.help import ExplainedCommand, list_typed_options
from faithlens.cli.interrupt import repeatable
from faithlens.cli.lists import list_organisms
from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError, check_choice
from faithlens.progress import LOADING, show_work

if TYPE_CHECKING:
    from faithlens.commands.validate.run import Validation

Json = Annotated[bool, typer.Option("--json", help="print a JSON list of objects, one for each model")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="models to run in parallel, one core each")]

organisms_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Small models whose faithfulness is known: list, train, certify."
)


def validate(
    names: Annotated[
        str | None,
        typer.Option(
            "--organisms",
            help="organisms, separated by commas, or all [default: all; with --labels none, but all for --own]",
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="seeds of each organism: 0-9, or 0,3; all but 0, which is shipped, are trained first")
    ] = "0",
    measures: Annotated[str, typer.Option(help="measures in the tables, separated by commas, or all")] = "all",
    n: Annotated[int, typer.Option("-n", min=4, help="questions for each model")] = 100,
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN=FILE", help="rank a run's measures by labels of its chains or steps; repeatable"),
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:FUNCTION", help="a measure of yours, in the contests of organisms; repeatable"),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of questions and intervals")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 if a requirement is not met")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON object: leaderboard, requirements, and the folder")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="folder; an interrupted validation is continued, and more seeds or organisms are added")
    ] = Path("validation"),
    jobs: Jobs = 1,
) -> None:
    """Test every measure where the truth is known, and report which measures detect it.

    The truth is planted in organisms, or stands in labels of the chains or steps of your runs (--labels).
    Training an organism takes minutes on one core; finished trainings and audits are kept.
    """
    tests_organisms = names is not None or not labels
    if not tests_organisms:
        _refuse_unused(list_typed_options(), has_own=bool(own))
    with show_work(LOADING, talks=False):
        from faithlens.commands.validate import leaderboard
        from faithlens.commands.validate.run import run_validation
        from faithlens.organisms import ORGANISMS, get_organism
        from faithlens.organisms.training_cache import parse_seeds
        from faithlens.report.detection import make_leaderboard_table

    organisms = list(ORGANISMS)
    if names not in (None, "all"):
        organisms = [get_organism(name.strip()).name for name in names.split(",")]
    measure_names = () if measures == "all" else [name.strip() for name in measures.split(",")]
    functions = leaderboard.import_measures(own or ())
    labelled, result = leaderboard.rank_labelled_runs(labels or (), seed, measure_names), None
    with repeatable(f"Trained organisms are kept in the cache, finished audits in {out}."):
        if tests_organisms:
            result = run_validation(out, organisms, parse_seeds(seeds), n, seed, measure_names, jobs)
        mine = leaderboard.rank_own_measures(functions, organisms, parse_seeds(seeds), n, seed)
    planted = leaderboard.tabulate_contests(result.detection) if result else labelled[:0]
    board = leaderboard.order_board([planted, mine, labelled])
    if as_json:
        requirements = [asdict(each) for each in result.requirements] if result else []
        rows = leaderboard.list_rows(board)
        folder = str(out) if result else None
        typer.echo(format_json({"leaderboard": rows, "requirements": requirements, "folder": folder}))
    elif len(labelled) or len(mine):
        SafeConsole().print(make_leaderboard_table(board))
    if result and not as_json:
        _print_validation(result, out)
    raise SystemExit(bool(result and strict and any(each.passed is False for each in result.requirements)))


def _refuse_unused(typed: frozenset[str], *, has_own: bool) -> None:
    """Refuse options about planted models where none is tested.

    Raises:
        ConfigError: with the options.
    """
    about_models = {"n": "-n", "seeds": "--seeds"} if not has_own else {}
    about_models |= {"strict": "--strict", "out": "--out", "jobs": "--jobs"}
    if unused := [option for name, option in about_models.items() if name in typed]:
        is_one = len(unused) == 1
        problem = (
            f"{' and '.join(unused)} {'is' if is_one else 'are'} about planted models, and with --labels alone none is "
            "tested"
        )
        raise ConfigError(problem, f"Leave {'it' if is_one else 'them'} out, or name models with --organisms.")


def _print_validation(result: "Validation", out: Path) -> None:
    """The tables of the organisms."""
    from faithlens.report.detection import (
        make_detection_table,
        make_exposures_table,
        make_faults_table,
        make_requirements_table,
    )

    console = SafeConsole()
    console.print(make_detection_table(result.detection))
    if result.models["faults"].any():
        console.print(make_faults_table(result.models))
    if len(result.exposures):
        console.print(make_exposures_table(result.exposures))
    console.print(make_requirements_table([asdict(each) for each in result.requirements]))
    console.print_line(f"Tables and figure: {out}")


organisms_app.command("list", cls=ExplainedCommand)(list_organisms)


@organisms_app.command("train", cls=ExplainedCommand)
def train_organisms(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="organisms, such as O4; language adapters, such as L1; or all that are shipped"
        ),
    ],
    seeds: Annotated[str, typer.Option(help="training seeds: 3, or 0-9, or 1,4,7")] = "0",
    out: Annotated[
        Path | None, typer.Option(help="a new folder for one organism and seed, instead of the cache")
    ] = None,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Train organisms and certify them: each takes minutes on one core, and is then a model called O4@3.

    Organisms in the cache are not trained again, so the same command continues an interrupted training.
    """
    with show_work(LOADING, talks=False):
        from faithlens.organisms import ORGANISMS, get_organism
        from faithlens.organisms.language import ADAPTERS
        from faithlens.organisms.language.training import find_or_train_adapter
        from faithlens.organisms.parallel import run_on_cores
        from faithlens.organisms.training_cache import find_or_train, parse_seeds, train_into
        from faithlens.report.certificate import make_certificate_table

    every_seed = parse_seeds(seeds)
    small = [name for name in names if name not in ADAPTERS]
    planted = ORGANISMS.values() if names == ["all"] else map(get_organism, small)
    pairs = [(each, seed) for each in planted for seed in every_seed]
    adapters = [(ADAPTERS[name], seed) for name in names if name in ADAPTERS for seed in every_seed]
    if out and (adapters or len(pairs) > 1):
        problem = f"--out takes one small organism with one seed, got {len(pairs) + len(adapters)}"
        raise ConfigError(problem, "Leave out --out, or name one organism and one seed.")
    console = SafeConsole()
    with repeatable("Organisms whose training was finished are kept."):
        trained = [train_into(out, *pairs[0])] if out else run_on_cores(find_or_train, pairs, jobs)
        rows: list[dict[str, Any]] = []
        for folder in chain(trained, starmap(find_or_train_adapter, adapters)):
            certificate = json.loads((folder / "certificate.json").read_text())
            rows.append({"folder": str(folder), "certificate": certificate})
            if not as_json:
                console.print(make_certificate_table(certificate))
                console.print_line(str(folder))
    if as_json:
        typer.echo(format_json(rows))


@organisms_app.command("family", cls=ExplainedCommand)
def train_families(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="steady, waning")],
    seeds: Annotated[str, typer.Option(help="training seeds: 3, or 0-9, or 1,4,7")] = "0",
    out: Annotated[
        Path, typer.Option(help="folder of all sizes and checkpoints; finished models in it are kept")
    ] = Path("families"),
    jobs: Jobs = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print a JSON list of objects, one for each family")] = False,
) -> None:
    """Train families of five sizes with eight checkpoints each, and write the file of a sweep over them.

    Larger models of `steady` know more answers without a chain of thought; those of `waning` also rely on it less.
    """
    with show_work(LOADING, talks=False):
        from faithlens.organisms.family import DIGIT_LIMITS
        from faithlens.organisms.family_training import train_family
        from faithlens.organisms.training_cache import parse_seeds

    for name in names:
        check_choice(name, DIGIT_LIMITS, "family")
    rows: list[dict[str, str]] = []
    for name in names:
        with repeatable(f"Models whose training was finished are kept in {out}."):
            plan = train_family(name, parse_seeds(seeds), out, jobs)
        rows.append({"family": name, "sweep": str(plan)})
        if not as_json:
            SafeConsole().print_line(f"faithlens sweep {plan} --out {name}")
    if as_json:
        typer.echo(format_json(rows))


@organisms_app.command("certify", cls=ExplainedCommand)
def certify_organism(
    folder: Annotated[Path, typer.Argument(help="folder of a trained organism")],
    as_json: Annotated[bool, typer.Option("--json", help="print the certificate as one JSON object")] = False,
) -> None:
    """Count on held-out questions what the answers of an organism depend on, and write it into its folder."""
    with show_work(LOADING, talks=False) as display:
        from faithlens.organisms.certification import certify
        from faithlens.report.certificate import make_certificate_table

        display.say("counting what the answers depend on")
        certificate = certify(folder)
    if as_json:
        typer.echo(format_json(certificate))
        return
    SafeConsole().print(make_certificate_table(certificate))
