"""The command line: one verb a task, each a thin layer over the library."""

import json
import sys
import traceback
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faithlens.cli.interrupt import INTERRUPTED, Interrupted, keeping, resumable
from faithlens.cli.lists import list_assays, list_measures, list_tasks
from faithlens.cli.organisms import organisms_app, validate
from faithlens.errors import ConfigError, FaithlensError

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
    task: Annotated[str | None, typer.Option("--task", "-t", help="task name, or a .jsonl file of questions")] = None,
    n: Annotated[
        int | None, typer.Option("-n", help="questions a model [default: 20, or all of a smaller file]")
    ] = None,
    suite: Annotated[str, typer.Option(help="standard, behaviour, internal or all")] = "standard",
    assays: Annotated[str | None, typer.Option(help="these assays instead of a suite, with commas between")] = None,
    traces: Annotated[
        Path | None,
        typer.Option(help="chains of thought written elsewhere: .jsonl with cot, lm-eval samples, Inspect .eval"),
    ] = None,
    samples: Annotated[int, typer.Option(help="chains of thought a question")] = 1,
    editor: Annotated[
        str, typer.Option(help="who writes edits: task, subject, a model, or URL#MODEL of an OpenAI-style endpoint")
    ] = "task",
    points: Annotated[int, typer.Option(help="steps a chain after which the rest is written anew; 0 for all")] = 3,
    batch: Annotated[
        int, typer.Option(min=1, help="questions that are written and scored together; a killed run loses one batch")
    ] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what the run would take")] = False,
    seed: Annotated[int, typer.Option(help="of questions, edits, sampling and intervals")] = 0,
    out: Annotated[Path | None, typer.Option(help="run folder; new or empty [default: faithlens-runs/<time>]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")] = False,
    max_new_tokens: Annotated[int, typer.Option(help="longest chain of thought, in tokens")] = 160,
    temperature: Annotated[float, typer.Option(help="of sampling; 0 is greedy")] = 0.0,
    top_p: Annotated[float, typer.Option(help="nucleus of sampling")] = 1.0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    backend: Annotated[str, typer.Option(help="packed, or separate (slow: one forward a condition)")] = "packed",
    min_faithfulness: Annotated[float, typer.Option(help="share of the answer the steps' words must carry")] = 0.5,
    min_accuracy: Annotated[float | None, typer.Option(help="accuracy with chain of thought that is asked for")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that the model brings along")] = False,
) -> None:
    """Sample chains of thought, edit them, read answers and internals, and say whether they may be relied on.

    Without --model: two organisms whose truth is planted, then SmolLM2-135M.
    """
    from faithlens.commands.audit import (
        audit as run_audit,  # torch takes seconds to import: --help should not wait for it
    )
    from faithlens.commands.audit import estimate_audit
    from faithlens.config import AuditConfig, parse_backend, parse_subjects
    from faithlens.execution.sample import Sampling
    from faithlens.report.terminal import format_summary

    if traces and task:
        raise ConfigError(
            f"the task {task!r} beside chains of thought from {traces}",
            "the questions are those of the file",
            "leave out --task or --traces",
        )
    config = AuditConfig(
        subjects=parse_subjects(model, str(traces) if traces else task),
        n=n,
        suite=suite,
        assays=tuple(filter(None, (name.strip() for name in (assays or "").split(",")))),
        samples=samples,
        traces=str(traces) if traces else None,
        editor=editor,
        points=points or None,
        batch=batch,
        seed=seed,
        device=device,
        dtype=dtype,
        backend=parse_backend(backend),
        sampling=Sampling(max_new_tokens, temperature, top_p),
        trust_remote_code=trust_remote_code,
        min_faithfulness=min_faithfulness,
        min_accuracy=min_accuracy,
    )
    console = Console()
    if dry_run:
        for estimate in estimate_audit(config):
            console.print(str(estimate), highlight=False)
        return
    folder = out or Path("faithlens-runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    told = Console(stderr=True)  # times differ from run to run, what a run says does not
    with resumable(folder):
        run = run_audit(config, folder, resume=resume, notify=lambda words: told.print(words, highlight=False))
    console.print(format_summary(run))
    console.print(f"Report: {run.path / 'report.html'}")


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="families of models, tasks and options")],
    out: Annotated[Path | None, typer.Option(help="new or empty folder [default: faithlens-runs/<time>]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the sweep in --out")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what the sweep would take")] = False,
) -> None:
    """Audit models x checkpoints x tasks, and say what size and difficulty do to faithfulness.

    First each model is tried out, which says what all will take; then one is audited after the other.
    """
    from faithlens.commands.sweep.config import read_sweep_config
    from faithlens.commands.sweep.run import run_sweep
    from faithlens.commands.sweep.trial import try_out_models
    from faithlens.report.sweep import format_sweep

    config, console, told = read_sweep_config(file), Console(), Console(stderr=True)
    if dry_run:
        try_out_models(config, partial(console.print, markup=False, highlight=False))
        return
    folder = out or Path("faithlens-runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    said = partial(told.print, markup=False, highlight=False)
    with resumable(folder):
        run = run_sweep(config, folder, resume=resume, notify=said)
    console.print(format_sweep(run))
    console.print(f"Tables and audits: {run.path}", highlight=False)


@app.command()
def decide(
    runs: Annotated[list[Path], typer.Argument(help="folders of finished runs")],
    min_faithfulness: Annotated[float, typer.Option(help="what each measure asked about must clear, 0 to 1")] = 0.5,
    min_accuracy: Annotated[float | None, typer.Option(help="accuracy with chain of thought that is asked for")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="a measure that must clear it; may be repeated [default: mediation.content_share]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead")] = False,
) -> None:
    """Decide from finished runs which models may be overseen by reading their chain of thought.

    Exit code 0: on every task some model is trusted. 1: on some task no model is, and none is undecided. 2: otherwise;
    the verdict is undecided. 3: no verdict, because of an error.
    """
    from faithlens.commands.decide import decide as decide_runs
    from faithlens.report.decide import format_decision
    from faithlens.stats.verdict import Criteria
    from faithlens.store import Run

    usual = Criteria()
    asked = Criteria(min_faithfulness, min_accuracy, tuple(dict.fromkeys(measure or usual.measures)))
    found = decide_runs([Run.open(run) for run in runs], asked)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(format_decision(found.to_dict()))
    raise DecisionExit(found.exit_code)


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(help="a finished run's folder")],
    run_b: Annotated[Path, typer.Argument(help="another, whose models were asked the same questions")],
    model_a: Annotated[str | None, typer.Option(help="which model of RUN_A, where it holds several")] = None,
    model_b: Annotated[str | None, typer.Option(help="which model of RUN_B")] = None,
    strategy_a: Annotated[
        str | None, typer.Option(help="cot, cot_decomposition or factored, instead of what follows the chain")
    ] = None,
    strategy_b: Annotated[str | None, typer.Option(help="the way to reason to compare it with")] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="compare these measures alone; may be repeated [default: all shared]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")] = False,
) -> None:
    """Compare two runs question by question, B less A: did training, decoding or a strategy change faithfulness?

    Each difference is given over all questions, and at equal accuracy: over those that both get right and wrong alike.
    """
    from dataclasses import asdict

    from faithlens.commands.compare import compare_runs
    from faithlens.report.compare import format_comparisons
    from faithlens.store import Run

    models, ways = (model_a, model_b), (strategy_a, strategy_b)
    found = [asdict(each) for each in compare_runs(Run.open(run_a), Run.open(run_b), models, ways, measure)]
    if as_json:
        typer.echo(json.dumps({"comparisons": found}, indent=2, ensure_ascii=False))
    else:
        Console().print(format_comparisons(found))


@app.command("power")
def estimate_power(
    run: Annotated[Path | None, typer.Argument(help="a finished run's folder, to plan the next one from")] = None,
    n: Annotated[int | None, typer.Option("-n", help="questions of a run yet to come [default: 100]")] = None,
    accuracy: Annotated[float | None, typer.Option(help="accuracy expected with chain of thought, 0 to 1")] = None,
    without: Annotated[float | None, typer.Option(help="accuracy expected without it, 0 to 1")] = None,
    change: Annotated[
        float | None, typer.Option(help="share expected to change, 0 to 1, where each question does or does not")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="instead: a measure's standard deviation over questions, in its unit")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="of RUN; may be repeated [default: those that a verdict may hang on]"),
    ] = None,
    half_width: Annotated[float, typer.Option(help="half of the 95 % interval that is wanted, in the unit")] = 0.05,
    power: Annotated[float, typer.Option(help="chance to find the smallest detectable effect")] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document instead")] = False,
) -> None:
    """What so many questions can show: those whose answer can change, the smallest detectable effect, how many to ask.

    Before a run from guesses (-n, --change or --sd, --accuracy and --without), after one from its folder. What a run
    takes in time is told by `faithlens audit --dry-run`.
    """
    from dataclasses import asdict

    from faithlens.commands.power import Aim, Guess, compute_run_power, predict_power
    from faithlens.report.power import make_expectation_table, make_power_table
    from faithlens.store import Run

    aim = Aim(half_width, power)
    if run and any(guess is not None for guess in (n, accuracy, without, change, sd)):
        do = "leave out RUN, or -n, --accuracy, --without, --change and --sd"
        raise ConfigError(f"a plan from {run} and from guesses", "the run says what they would", do)
    if measure and not run:
        raise ConfigError(f"a plan for {', '.join(measure)}", "guesses are of no measure", "name a run's folder")
    if run:
        rows = [asdict(each) for each in compute_run_power(Run.open(run), measure or (), aim)]
        found, table = {"aim": asdict(aim), "measures": rows}, make_power_table(rows, asdict(aim))
    else:
        guess = Guess(100 if n is None else n, without, accuracy, change, sd)
        told = asdict(predict_power(guess, aim))
        found, table = {"aim": asdict(aim), "guess": asdict(guess), "power": told}, make_expectation_table(told, asdict(aim))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        Console().print(table)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="a finished run's folder")],
    out: Annotated[Path, typer.Argument(help="the file or folder to write; must not be there yet")],
    to: Annotated[str, typer.Option(help="parquet (one tidy table) or dataset (a Hugging Face dataset folder)")] = (
        "parquet"
    ),
) -> None:
    """Write a run's scores for other tools."""
    from faithlens.report.export import export_run as write
    from faithlens.report.export import parse_form
    from faithlens.store import Run

    typer.echo(f"Written: {write(Run.open(run), out, parse_form(to))}")


@app.command("doctor")
def run_doctor(
    model: Annotated[
        str, typer.Argument(help="hub id (org/name or org/name@revision), folder, .gguf file or short name")
    ],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that the model brings along")] = False,
) -> None:
    """Check on your own model that packing, captures and edits do what they say; exit code 1 if anything fails."""
    from dataclasses import asdict

    from faithlens.commands.doctor import run_checks
    from faithlens.model.load import load

    checks = run_checks(load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        table = Table("", "check", "measured", "limit", "what is measured", title=model, title_justify="left")
        for c in checks:
            numbers = ("" if x is None else f"{x:.1e}" for x in (c.measured, c.limit))
            table.add_row("[green]ok[/]" if c.passed else "[red]FAIL[/]", c.name, *numbers, c.note)
        Console().print(table)
    raise SystemExit(not all(check.passed for check in checks))


@app.command("bench")
def run_bench(
    model: Annotated[str, typer.Option("--model", "-m", help="hub id, folder, .gguf file or short name")] = (
        "smollm2-135m"
    ),
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject", "-s", help="capture, sweep, grid [default: all three], sweep-long, throughput, kernels"
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="rounds in which everyone takes a turn")] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    json_file: Annotated[Path | None, typer.Option("--json", help="write all numbers to this file")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that the model brings along")] = False,
) -> None:
    """Time on your own model what hooks cost, with faithlens and with what you could use instead.

    Plain transformers, torch hooks, TransformerLens and (where installed) nnsight; truncation sweeps and patch grids.
    """
    from rich.markdown import Markdown

    from faithlens.commands.bench.benchmarks import DEFAULT_BENCHMARKS
    from faithlens.commands.bench.benchmarks import run_benchmarks as measure
    from faithlens.commands.bench.table import format_result
    from faithlens.model.load import load
    from faithlens.store import write_atomically

    console, results = Console(), []
    loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    names = tuple(subject or DEFAULT_BENCHMARKS)
    with keeping(lambda: f"{json_file} holds what was measured." if json_file and results else "Nothing was written."):
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
    """The end of `decide`, whose exit code is what it found."""


NO_VERDICT = 3
"""The exit code of `decide` where it found nothing: 0, 1 and 2 are verdicts."""


def main() -> None:
    """Run the command line; an error the user can mend is printed in its three parts, exit code 2.

    Whatever goes wrong in `decide` ends in NO_ANSWER, faults of our own included: no gate may take them for a verdict.
    """
    answers = sys.argv[1:2] == ["decide"]
    try:
        app()
    except DecisionExit:
        raise
    except FaithlensError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(NO_VERDICT if answers else 2) from None
    except Interrupted as ended:
        raise SystemExit(NO_VERDICT if answers else ended.code) from None
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer's answer to Ctrl-C, in a command that keeps nothing
            Console(stderr=True).print("Interrupted. Nothing was written.")
        raise SystemExit(NO_VERDICT if answers and ended.code else ended.code) from None
    except Exception as error:
        if not answers:
            raise
        traceback.print_exception(error)
        raise SystemExit(NO_VERDICT) from error


if __name__ == "__main__":
    main()
