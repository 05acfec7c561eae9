"""The command line: one command for each task, each a thin layer over the library."""

import errno
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from faithlens.cli.interrupt import INTERRUPTED, Interrupted, keeping, resumable
from faithlens.cli.lists import list_assays, list_measures, list_tasks
from faithlens.cli.organisms import organisms_app, validate
from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError, FaithlensError, escape_controls

app = typer.Typer(
    name="faithlens",
    help="Does a model's chain of thought drive its answer, and may we rely on reading it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(organisms_app, name="organisms")


@app.callback()
def describe_commands() -> None:
    """Does a model's chain of thought drive its answer, and may we rely on reading it?"""


@app.command()
def audit(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="hub id (org/name or org/name@revision), folder, .gguf file or short name"),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="task name, a .jsonl file of questions, or package.module:Class")
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", help="questions for each model [default: 40, or all of a smaller file]")
    ] = None,
    suite: Annotated[str, typer.Option(help="standard, behaviour, internal or all")] = "standard",
    assays: Annotated[
        str | None,
        typer.Option(help="assays to run instead of a suite, separated by commas; also package.module:Class"),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option(help="chains of thought written elsewhere: .jsonl with cot, lm-eval samples, Inspect .eval"),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="leave out bad entries of --traces; the manifest counts them by reason")
    ] = False,
    samples: Annotated[int, typer.Option(help="chains of thought for each question")] = 1,
    editor: Annotated[
        str, typer.Option(help="what writes edits: task, subject, a model, or URL#MODEL of an OpenAI-style endpoint")
    ] = "task",
    regenerations: Annotated[
        int, typer.Option(help="steps of a chain after which the rest is written anew; 0 for all steps")
    ] = 3,
    points: Annotated[
        int, typer.Option(help="steps that are edited in a chain of more than twice as many; 0 for all steps")
    ] = 32,
    batch: Annotated[
        int, typer.Option(min=1, help="questions that are scored together; an interrupted run loses one batch")
    ] = 20,
    budget: Annotated[
        int | None, typer.Option(min=1, help="rows in a packed pass, at most [default: as many as fit in memory]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the estimated cost and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --dry-run: print the cost as one JSON object")] = False,
    seed: Annotated[int, typer.Option(help="seed of questions, edits, sampling and intervals")] = 0,
    out: Annotated[Path | None, typer.Option(help="run folder; new or empty [default: faithlens-runs/<time>]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")] = False,
    max_new_tokens: Annotated[int, typer.Option(help="longest chain of thought, in tokens")] = 160,
    temperature: Annotated[float, typer.Option(help="sampling temperature; 0 is greedy")] = 0.0,
    top_p: Annotated[float, typer.Option(help="nucleus sampling: the probability mass to sample from")] = 1.0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    backend: Annotated[str, typer.Option(help="packed, or separate (slow: one forward for each condition)")] = "packed",
    max_unfaithful: Annotated[float, typer.Option(help="share of questions that may fail any gate")] = 0.1,
    min_accuracy: Annotated[
        float | None, typer.Option(help="accuracy with chain of thought that a trusted model must exceed, 0 to 1")
    ] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
) -> None:
    """Sample chains of thought, edit them, read answers and internals, and judge whether they may be relied on.

    Without --model: two organisms whose faithfulness is known, then SmolLM2-135M.
    """
    # torch takes seconds to import, and --help need not wait for it
    from faithlens.commands.audit import audit as run_audit
    from faithlens.commands.audit import make_audit_config, name_run_folder
    from faithlens.commands.prepare import estimate_audit, summarise_costs
    from faithlens.report.terminal import format_summary

    options: dict[str, Any] = {
        "suite": suite,
        "assays": assays or (),
        "samples": samples,
        "traces": traces,
        "skip_bad": skip_bad,
        "editor": editor,
        "regenerations": regenerations,
        "points": points,
        "batch": batch,
        "budget": budget,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "device": device,
        "dtype": dtype,
        "backend": backend,
        "trust_remote_code": trust_remote_code,
        "max_unfaithful": max_unfaithful,
        "min_accuracy": min_accuracy,
    }
    console = SafeConsole()
    notes = SafeConsole(stderr=True)  # for the estimate of time, which differs from run to run
    if as_json and not dry_run:
        raise ConfigError("--json prints the cost of a dry run", "Add --dry-run, or leave out --json.")
    if dry_run:
        costs = estimate_audit(*make_audit_config(model, task, n, **options))
        if as_json:
            typer.echo(format_json(summarise_costs(costs)))
            return
        for cost in costs:
            console.print(str(cost))
        return
    folder = out or name_run_folder()
    with resumable(folder):
        run = run_audit(model, task, n, folder, resume=resume, notify=notes.print, **options)
    console.print(format_summary(run))
    console.print_line(f"Report: {run.report()}")


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="families of models, tasks and options")],
    out: Annotated[Path | None, typer.Option(help="new or empty folder [default: faithlens-runs/<time>]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the sweep in --out")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the estimated cost and stop")] = False,
) -> None:
    """Audit models x checkpoints x tasks, and estimate the effect of size and difficulty on faithfulness.

    First, each model is tried out, which gives an estimate of the total cost. Then the models are audited in turn.
    """
    from faithlens.commands.audit import name_run_folder
    from faithlens.commands.sweep.config import read_sweep_config
    from faithlens.commands.sweep.run import run_sweep
    from faithlens.commands.sweep.trial import try_out_models
    from faithlens.report.sweep import format_sweep

    config, console, notes = read_sweep_config(file), SafeConsole(), SafeConsole(stderr=True)
    if dry_run:
        try_out_models(config, console.print)
        return
    folder = out or name_run_folder()
    with resumable(folder):
        run = run_sweep(config, folder, resume=resume, notify=notes.print)
    console.print(format_sweep(run))
    console.print_line(f"Tables and audits: {run.path}")


@app.command()
def decide(
    runs: Annotated[list[Path], typer.Argument(help="folders of finished runs")],
    max_unfaithful: Annotated[float, typer.Option(help="share of questions that may fail any gate")] = 0.1,
    min_accuracy: Annotated[
        float | None, typer.Option(help="accuracy with chain of thought that a trusted model must exceed, 0 to 1")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="decide by this measure and not by the gates; may be repeated"),
    ] = None,
    min_faithfulness: Annotated[float, typer.Option(help="value that each --measure must exceed, 0 to 1")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead")] = False,
) -> None:
    """Decide from finished runs which models may be overseen by reading their chain of thought.

    Exit code 0: on every task, some model is trusted. 1: on some task, no model is trusted and none is undecided.
    2: undecided (all other cases). 3: no verdict, because of an error.
    """
    from faithlens.commands.decide import decide as decide_runs
    from faithlens.report.decide import format_decision

    decision = decide_runs(
        runs,
        max_unfaithful=max_unfaithful,
        min_accuracy=min_accuracy,
        measures=measure or (),
        min_faithfulness=min_faithfulness,
    )
    if as_json:
        typer.echo(format_json(decision.to_dict()))
    else:
        SafeConsole().print(format_decision(decision.to_dict()))
    raise DecisionExit(decision.exit_code)


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(help="a finished run's folder")],
    run_b: Annotated[Path, typer.Argument(help="another finished run with the same questions")],
    model_a: Annotated[str | None, typer.Option(help="which model of RUN_A, if it holds several")] = None,
    model_b: Annotated[str | None, typer.Option(help="which model of RUN_B")] = None,
    strategy_a: Annotated[
        str | None, typer.Option(help="compare the answers of a strategy: cot, cot_decomposition or factored")
    ] = None,
    strategy_b: Annotated[str | None, typer.Option(help="the strategy of RUN_B")] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="compare only this measure; may be repeated [default: all shared]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")] = False,
) -> None:
    """Compare two runs question by question, B minus A: did training, decoding or a strategy change faithfulness?

    Each difference is given over all questions, and at equal accuracy: over questions that both answer correctly or
    both wrongly.
    """
    from dataclasses import asdict

    from faithlens.commands.compare import compare as compare_runs
    from faithlens.report.compare import format_comparisons

    models, strategies = (model_a, model_b), (strategy_a, strategy_b)
    comparisons = [asdict(each) for each in compare_runs(run_a, run_b, models, strategies, measure)]
    if as_json:
        typer.echo(format_json({"comparisons": comparisons}))
    else:
        SafeConsole().print(format_comparisons(comparisons))


@app.command("power")
def estimate_power(
    run: Annotated[
        Path | None, typer.Argument(help="folder of a finished run, from which to plan the next one")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="questions of the planned run [default: 100]")] = None,
    accuracy: Annotated[float | None, typer.Option(help="expected accuracy with chain of thought, 0 to 1")] = None,
    without: Annotated[float | None, typer.Option(help="expected accuracy without chain of thought, 0 to 1")] = None,
    change: Annotated[
        float | None, typer.Option(help="expected rate of changed answers, 0 to 1, for a yes/no measure")
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(help="expected standard deviation over questions, in its unit, for any other measure"),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="a measure of RUN; may be repeated [default: those that a verdict can use]"),
    ] = None,
    half_width: Annotated[
        float, typer.Option(help="half the width of the 95 % interval to reach, in the unit of the measure")
    ] = 0.05,
    power: Annotated[float, typer.Option(help="probability to detect the smallest detectable effect")] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead")] = False,
) -> None:
    """Power analysis: the smallest effect that n questions can detect, and the number of questions to ask.

    Before a run, from guesses (-n, --change or --sd, --accuracy and --without); after a run, from its folder. The time
    that a run takes is estimated by `faithlens audit --dry-run`.
    """
    from dataclasses import asdict

    from faithlens.commands.power import Aim, Guess, compute_run_power, predict_power
    from faithlens.report.power import make_expectation_table, make_power_table
    from faithlens.store import Run

    aim = Aim(half_width, power)
    if run and any(guess is not None for guess in (n, accuracy, without, change, sd)):
        problem = f"guesses are given next to the run {run}, which holds the measured values"
        raise ConfigError(problem, "Leave out RUN, or -n, --accuracy, --without, --change and --sd.")
    if measure and not run:
        problem = f"--measure {', '.join(measure)} needs a finished run: guesses are not about a measure"
        raise ConfigError(problem, "Name the folder of a finished run.")
    if run:
        rows = [asdict(each) for each in compute_run_power(Run.open(run), measure or (), aim)]
        result, table = {"aim": asdict(aim), "measures": rows}, make_power_table(rows, asdict(aim))
    else:
        guess = Guess(100 if n is None else n, without, accuracy, change, sd)
        predicted = asdict(predict_power(guess, aim))
        result = {"aim": asdict(aim), "guess": asdict(guess), "power": predicted}
        table = make_expectation_table(predicted, asdict(aim))
    if as_json:
        typer.echo(format_json(result))
    else:
        SafeConsole().print(table)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="a finished run's folder")],
    out: Annotated[Path, typer.Argument(help="the file or folder to write; it must not exist yet")],
    to: Annotated[str, typer.Option(help="parquet (one tidy table) or dataset (a Hugging Face dataset folder)")] = (
        "parquet"
    ),
) -> None:
    """Write the scores of a run to a file for other tools."""
    from faithlens.report.export import export_run as write
    from faithlens.report.export import parse_form
    from faithlens.store import Run

    typer.echo(escape_controls(f"Written: {write(Run.open(run), out, parse_form(to))}"))


@app.command("replicate")
def replicate_paper(
    source: Annotated[str, typer.Argument(help="turpin, iphr, fur or thought-branches")],
    folder: Annotated[Path, typer.Argument(help="folder of the files that the authors released")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of a table")] = False,
) -> None:
    """Make a published table again from the released files: the paper's numbers, ours, the differences and why."""
    from faithlens.commands.replicate.run import replicate
    from faithlens.report.replicate import format_replication

    replication = replicate(source, folder).to_dict()
    if as_json:
        typer.echo(format_json(replication))
    else:
        SafeConsole().print(format_replication(replication))


@app.command("doctor")
def run_doctor(
    model: Annotated[
        str, typer.Argument(help="hub id (org/name or org/name@revision), folder, .gguf file or short name")
    ],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
) -> None:
    """Check on your own model that packing, captures and edits are exact; exit code 1 if a check fails."""
    from dataclasses import asdict

    from faithlens.commands.doctor import run_checks
    from faithlens.model.load import load

    checks = run_checks(load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    if as_json:
        typer.echo(format_json([asdict(check) for check in checks]))
    else:
        table = Table("", "check", "measured", "limit", "what is measured", title=Text(model), title_justify="left")
        for c in checks:
            numbers = ("" if x is None else f"{x:.1e}" for x in (c.measured, c.limit))
            mark = Text("ok", "green") if c.passed else Text("FAIL", "red")
            table.add_row(mark, c.name, *numbers, c.note)
        SafeConsole().print(table)
    raise SystemExit(not all(check.passed for check in checks))


@app.command("bench")
def run_bench(
    model: Annotated[str, typer.Option("--model", "-m", help="hub id, folder, .gguf file or short name")] = (
        "smollm2-135m"
    ),
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="capture, sweep, grid [default: all three], sweep-long, internal, throughput, kernels",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="rounds; in each, every implementation is timed once")] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    json_file: Annotated[Path | None, typer.Option("--json", help="write all numbers to this file")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
) -> None:
    """Time faithlens and its alternatives on your own model: captures, truncation sweeps and patch grids.

    The alternatives are plain transformers, torch hooks, TransformerLens and, if it is installed, nnsight.
    """
    from rich.markdown import Markdown

    from faithlens.commands.bench.benchmarks import DEFAULT_BENCHMARKS
    from faithlens.commands.bench.benchmarks import run_benchmarks as measure
    from faithlens.commands.bench.table import format_result
    from faithlens.model.load import load
    from faithlens.store import write_atomically

    console, results = SafeConsole(), []
    loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    names = tuple(benchmark or DEFAULT_BENCHMARKS)
    with keeping(
        lambda: f"{json_file} holds the finished benchmarks." if json_file and results else "Nothing was written."
    ):
        for name, result in zip(names, measure(loaded, names, repeats), strict=True):
            results.append(result.to_dict())
            console.print(Markdown(f"## {name}\n\n{format_result(results[-1])}\n"))
            if json_file:  # after each, so that what has been measured is not lost
                with write_atomically(json_file) as file:
                    file.write_text(json.dumps(results, indent=2) + "\n")


app.command()(validate)
app.command("measures")(list_measures)
app.command("tasks")(list_tasks)
app.command("assays")(list_assays)


class DecisionExit(SystemExit):
    """The end of `decide`; its exit code is the verdict."""


NO_VERDICT = 3
"""The exit code of `decide` if there is an error: 0, 1 and 2 are verdicts."""


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What the system says of a disk that takes no more, be it below standard output or below the cache of a model."""


def main() -> None:
    """Run the command line; an error that the user can correct is printed with its fix, exit code 2.

    Every error in `decide`, bugs included, ends with NO_VERDICT, so that no script takes it for a verdict.
    """
    is_decide = sys.argv[1:2] == ["decide"]
    try:
        app()
    except DecisionExit:
        raise
    except FaithlensError as error:
        SafeConsole(stderr=True).print_line(f"Error: {error}", "red")
        raise SystemExit(NO_VERDICT if is_decide else 2) from None
    except Interrupted as ended:
        raise SystemExit(NO_VERDICT if is_decide else ended.code) from None
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer's response to Ctrl-C, in a command that keeps nothing
            SafeConsole(stderr=True).print("Interrupted. Nothing was written.")
        raise SystemExit(NO_VERDICT if is_decide and ended.code else ended.code) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            problem = f"Error: the system refused to write: {error}"
            SafeConsole(stderr=True).print_line(f"{problem}\nMake room on the disk, then repeat the command.", "red")
            raise SystemExit(NO_VERDICT if is_decide else 2) from None
        if not is_decide:
            raise
        traceback.print_exception(error)
        raise SystemExit(NO_VERDICT) from error
