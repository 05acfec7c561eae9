"""The command `judge`: readers say what the chains under hints of a finished run state."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from faithlens.cli.interrupt import repeatable
from faithlens.cli.places import Place, parse_place
from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError

if TYPE_CHECKING:
    from faithlens.commands.judge.run import ReaderPlan

FAILED = 2  # the exit code of errors


def judge(
    run: Annotated[Place, typer.Argument(parser=parse_place, metavar="RUN", help="a finished run's folder")],
    reader: Annotated[
        list[str] | None,
        typer.Option(help="words, URL#MODEL (an OpenAI-style endpoint), or a model; name two or more"),
    ] = None,
    key_env: Annotated[
        list[str] | None,
        typer.Option(help="HOST=VARIABLE: where the key of a host is; may be repeated [default: OPENAI_API_KEY]"),
    ] = None,
    repeats: Annotated[int, typer.Option(help="how often a model reads each chain")] = 2,
    max_new_tokens: Annotated[int, typer.Option(help="tokens of a model's reply, at most")] = 256,
    device: Annotated[str, typer.Option(help="device of a model in this process: auto, cpu, cuda, mps")] = "auto",
    dtype: Annotated[str, typer.Option(help="its number format: auto, float32, bfloat16, float16")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what it takes, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")] = False,
) -> None:
    """Have readers judge what the chains say about the hints that switched an answer.

    Each reader's misses and false alarms are measured on chains whose saying is planted, and enter the interval. With
    two readers or more, the gate disclosed goes by the label that all of them share. A stopped command is continued by
    the same command.
    """
    from faithlens.commands.judge.run import judge as judge_run
    from faithlens.report.judge import format_judging, format_plans

    notes = SafeConsole(stderr=True) if as_json else SafeConsole()

    def notify(plans: "list[ReaderPlan]") -> None:
        notes.print(format_plans({plan.reader.name: asdict(plan.cost) for plan in plans}))

    with repeatable("The judgements that were finished are kept."):
        result = judge_run(
            run,
            reader or [],
            key_envs=parse_key_envs(key_env or []),
            repeats=repeats,
            max_new_tokens=max_new_tokens,
            device=device,
            dtype=dtype,
            notify=notify,
            dry_run=dry_run,
        )
    if not dry_run:
        if as_json:
            typer.echo(format_json(result.summary))
        else:
            SafeConsole().print(format_judging(result.summary))
    for name, reasons in result.failures.items():
        for reason, n in reasons.items():
            SafeConsole(stderr=True).print_line(f"Failed: {n} requests to {name}: {reason}", "red")
    if result.failures:
        SafeConsole(stderr=True).print_line("What was read is kept. To make the others, repeat the command.")
        raise typer.Exit(FAILED)


def parse_key_envs(words: Sequence[str]) -> dict[str, str]:
    """``HOST=VARIABLE`` as a table. Raises ConfigError for anything else; what may be a key is not repeated."""
    pairs = [word.partition("=") for word in words]
    if any(not host or not variable.isidentifier() for host, _, variable in pairs):
        raise ConfigError(
            "a --key-env is not of the form HOST=VARIABLE, with the name of an environment variable",
            "Export the key under a name, and write for example --key-env api.example.com=EXAMPLE_KEY.",
        )
    return {host: variable for host, _, variable in pairs}
