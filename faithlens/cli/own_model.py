"""The commands that test faithlens on a model of your own: `doctor` (is it exact?) and `bench` (how fast is it?)."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from faithlens.cli.interrupt import keeping
from faithlens.console import SafeConsole, format_json
from faithlens.model.names import check_model_options
from faithlens.progress import LOADING, show_work
from faithlens.report.fitting_table import FittingTable


def run_doctor(
    model: Annotated[
        str, typer.Argument(help="hub id (org/name or org/name@revision), folder, .gguf file or short name")
    ],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: the checkpoint's on a GPU")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
) -> None:
    """Check on your own model that packing, captures and edits are exact; exit code 1 if a check fails."""
    from dataclasses import asdict

    check_model_options(model, device, dtype)
    with show_work(LOADING) as display:
        from faithlens.commands.doctor import run_checks
        from faithlens.model.load import load

        display.say(f"loading {model}")
        loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        display.say(f"checking {model}")
        checks = run_checks(loaded)
    if as_json:
        typer.echo(format_json([asdict(check) for check in checks]))
    else:
        rows = list[tuple[str | Text, ...]]()
        for c in checks:
            numbers = ("" if x is None else f"{x:.1e}" for x in (c.measured, c.limit))
            mark = Text("ok", "green") if c.passed else Text("FAIL", "red")
            rows.append((c.name, mark, *numbers, c.note))
        columns = ("check", "result", "measured", "limit", "what is measured")
        SafeConsole().print(FittingTable(columns, rows, model))
    raise SystemExit(not all(check.passed for check in checks))


def run_bench(
    model: Annotated[str, typer.Option("--model", "-m", help="hub id, folder, .gguf file or short name")] = (
        "smollm2-135m"
    ),
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="capture, sweep, grid [default: all three], sweep-long, internal, throughput, kernels, long",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="rounds; in each, every implementation is timed once")] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: the checkpoint's on a GPU")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="write all numbers to this file")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
) -> None:
    """Time faithlens and its alternatives on your own model: captures, truncation sweeps and patch grids.

    The alternatives are plain transformers, torch hooks, TransformerLens and, if it is installed, nnsight.
    """
    from rich.markdown import Markdown

    check_model_options(model, device, dtype)
    console, results = SafeConsole(), []
    with show_work(LOADING) as display:
        from faithlens.commands.bench.benchmarks import DEFAULT_BENCHMARKS, check_benchmarks
        from faithlens.commands.bench.benchmarks import run_benchmarks as measure
        from faithlens.commands.bench.table import format_result
        from faithlens.model.load import load
        from faithlens.store import write_atomically

        names = tuple(benchmark or DEFAULT_BENCHMARKS)
        check_benchmarks(names)
        display.say(f"loading {model}")
        loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    SafeConsole(stderr=True).print(f"timing {model}; each benchmark takes minutes")
    with keeping(
        lambda: f"{json_file} holds the finished benchmarks." if json_file and results else "Nothing was written."
    ):
        for name, result in zip(names, measure(loaded, names, repeats), strict=True):
            results.append(result.to_dict())
            console.print(Markdown(f"## {name}\n\n{format_result(results[-1])}\n"))
            if json_file:  # after each, so that what has been measured is not lost
                with write_atomically(json_file) as file:
                    file.write_text(json.dumps(results, indent=2) + "\n")
