"""The commands `judge` and `monitor`: what chains say about hints, and whether a hint is noticed in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faithlens.cli.interrupt import repeatable
from faithlens.cli.places import Place, check_run, parse_place
from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError
from faithlens.progress import LOADING, show_work

if TYPE_CHECKING:
    from rich.console import RenderableType

    from faithlens.commands.judge.run import Judging, ReaderPlan

FAILED = 2  # the exit code of errors

Folder = Annotated[Place, typer.Argument(parser=parse_place, metavar="RUN", help="a finished run's folder")]
KeyEnvs = Annotated[
    list[str] | None,
    typer.Option(help="HOST=VARIABLE: where the key of a host is; may be repeated [default: OPENAI_API_KEY]"),
]
Repeats = Annotated[int, typer.Option(help="how often a model reads each chain")]
ReplyTokens = Annotated[int, typer.Option(help="tokens of a model's reply, at most")]
Device = Annotated[str, typer.Option(help="device of a model in this process: cpu, cuda, cuda:1, ..., split or auto")]
Dtype = Annotated[str, typer.Option(help="its number format: float32, bfloat16, float16 or auto")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what it takes, and stop")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]


def judge(
    run: Folder,
    reader: Annotated[
        list[str] | None,
        typer.Option(help="words, URL#MODEL (an OpenAI-style endpoint), or a model; name two or more"),
    ] = None,
    key_env: KeyEnvs = None,
    repeats: Repeats = 2,
    max_new_tokens: ReplyTokens = 256,
    device: Device = "auto",
    dtype: Dtype = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have readers judge what the chains say about the hints that switched an answer.

    Each reader's misses and false alarms are measured on chains whose saying is planted, and enter the interval. With
    two readers or more, the gate disclosed goes by the label that all of them share. A stopped command is continued by
    the same command.
    """
    check_run(run)
    with show_work(LOADING, talks=False):
        from faithlens.judging.names import check_reader_options

        for name in reader or []:
            check_reader_options(name, device, dtype)
        from faithlens.commands.judge.run import judge as judge_run
        from faithlens.report.judge import format_judging

    with repeatable(KEPT):
        result = judge_run(
            run,
            reader or [],
            key_envs=parse_key_envs(key_env or []),
            repeats=repeats,
            max_new_tokens=max_new_tokens,
            device=device,
            dtype=dtype,
            notify=lambda plans: print_plans(plans, to_stderr=as_json),
            dry_run=dry_run,
        )
    print_result(result, format_judging, as_json=as_json)


def monitor(
    run: Folder,
    reader: Annotated[
        list[str] | None,
        typer.Option(help="words, text (trained on the run), URL#MODEL, or a model [default: words, text]"),
    ] = None,
    key_env: KeyEnvs = None,
    repeats: Repeats = 2,
    max_new_tokens: ReplyTokens = 256,
    device: Device = "auto",
    dtype: Dtype = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well monitors notice, from the chain, the answer or both, that a hint brought the answer about.

    The measure is g-mean squared, cross-fitted, beside the most that flags at random reach. A stopped command is
    continued by the same command.
    """
    check_run(run)
    with show_work(LOADING, talks=False):
        from faithlens.commands.judge.monitor import monitor as monitor_run
        from faithlens.judging.names import TEXT, WORDS
        from faithlens.report.judge import format_monitoring

    with repeatable(KEPT):
        result = monitor_run(
            run,
            reader or [WORDS, TEXT],
            key_envs=parse_key_envs(key_env or []),
            repeats=repeats,
            max_new_tokens=max_new_tokens,
            device=device,
            dtype=dtype,
            notify=lambda plans: print_plans(plans, to_stderr=as_json),
            dry_run=dry_run,
        )
    print_result(result, format_monitoring, as_json=as_json)


KEPT = "The judgements that were finished are kept."


def print_plans(plans: "list[ReaderPlan]", *, to_stderr: bool) -> None:
    """Say what each reader will be asked."""
    from faithlens.report.judge import format_plans

    SafeConsole(stderr=to_stderr).print(format_plans(list_costs(plans)))


def list_costs(plans: "Sequence[ReaderPlan]") -> dict[str, dict[str, int]]:
    """What each reader will be asked, by its name."""
    return {plan.reader.name: asdict(plan.cost) for plan in plans}


def print_result(
    result: "Judging", format_summary: Callable[[Mapping[str, Any]], "RenderableType"], *, as_json: bool
) -> None:
    """Print what was found, after a dry run its costs, and what failed. Exits with `FAILED` where a request failed."""
    if as_json:
        typer.echo(format_json(result.summary or {"costs": list_costs(result.plans)}))
    elif result.summary:
        SafeConsole().print(format_summary(result.summary))
    for name, reasons in result.failures.items():
        for reason, n in reasons.items():
            SafeConsole(stderr=True).print_line(f"Failed: {n} requests to {name}: {reason}", "red")
    if result.failures:
        SafeConsole(stderr=True).print_line("What was read is kept. To make the others, repeat the command.")
        raise typer.Exit(FAILED)


def parse_key_envs(words: Sequence[str]) -> dict[str, str]:
    """``HOST=VARIABLE`` as a table; what may be a key is not repeated.

    Raises:
        ConfigError: something else was given, or a host twice.
    """
    pairs = [word.partition("=") for word in words]
    if any(not host or not variable.isidentifier() for host, _, variable in pairs):
        raise ConfigError(
            "a --key-env is not of the form HOST=VARIABLE, with the name of an environment variable",
            "Export the key under a name, and write for example --key-env api.example.com=EXAMPLE_KEY.",
        )
    hosts = [host for host, _, _ in pairs]
    if repeated := next((host for host in hosts if hosts.count(host) > 1), None):
        raise ConfigError(f"--key-env names the host {repeated!r} twice", "Name one variable for each host.")
    return {host: variable for host, _, variable in pairs}
