"""The commands that run models on questions: `audit` and `sweep`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from faithlens.cli.help import list_typed_options
from faithlens.cli.interrupt import resumable
from faithlens.cli.places import Place, check_run, parse_place
from faithlens.cli.workers import describe_prepared, parse_submit_options
from faithlens.console import SafeConsole, format_json
from faithlens.errors import ConfigError, check_choice, suggest_path
from faithlens.measures.edit_counts import DEFAULT_ENDS, DEFAULT_POINTS, DEFAULT_REGENERATIONS
from faithlens.progress import LOADING, show_work

ResumedFolder = Annotated[
    Place | None,
    typer.Option(
        "--resume",
        parser=parse_place,
        metavar="DIR",
        help="continue what was stopped in this folder, which knows its options",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the estimated cost and stop")]


def audit(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="hub id (org/name or org/name@revision), folder, .gguf file or short name"),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="what tables and reports call the model; one for each --model, or none"),
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
        typer.Option(help="chains written elsewhere: JSON lines (faithlens schema traces), logs, files of papers"),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="leave out bad entries of --traces; the manifest counts them by reason")
    ] = False,
    samples: Annotated[int, typer.Option(help="chains of thought for each question")] = 1,
    editor: Annotated[
        str, typer.Option(help="what writes edits: task, subject, a model, or URL#MODEL of an OpenAI-style endpoint")
    ] = "task",
    regenerations: Annotated[
        int, typer.Option(help="steps of a chain after which the rest is regenerated; 0 for all steps")
    ] = DEFAULT_REGENERATIONS,
    points: Annotated[
        int, typer.Option(help="steps that are edited in a chain of more than twice as many; 0 for all steps")
    ] = DEFAULT_POINTS,
    ends: Annotated[
        int, typer.Option(help="new ends of a chain that resampling writes before and after a step")
    ] = DEFAULT_ENDS,
    batch: Annotated[
        int, typer.Option(min=1, help="questions that are scored together; an interrupted run loses one batch")
    ] = 20,
    budget: Annotated[
        int | None, typer.Option(min=1, help="rows in a packed pass, at most [default: as many as fit in memory]")
    ] = None,
    dry_run: DryRun = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON object: folder, report and verdicts; with --dry-run the cost")
    ] = False,
    seed: Annotated[int, typer.Option(help="seed of questions, edits, sampling and intervals")] = 0,
    out: Annotated[
        Place | None,
        typer.Option(
            parser=parse_place,
            metavar="FOLDER",
            help="run folder, new or empty, or an address such as s3://bucket/run [default: faithlens-runs/<time>]",
        ),
    ] = None,
    resume: ResumedFolder = None,
    reuse: Annotated[
        list[Place] | None,
        typer.Option(
            parser=parse_place,
            metavar="RUN",
            help="take over what this run did already, for more questions, models or assays; may be repeated",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="longest chain of thought, in tokens [default: 1024, or 8192 for a model with thoughts of its own, "
            "and at most half of what the model reads]"
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="sampling temperature; 0 is greedy")] = 0.0,
    top_p: Annotated[float, typer.Option(help="nucleus sampling: the probability mass to sample from")] = 1.0,
    sampler: Annotated[
        str,
        typer.Option(help="who writes the chains: own, continuous (transformers' batching), vllm or openai (a server)"),
    ] = "own",
    sampler_url: Annotated[
        str | None,
        typer.Option(help="URL or URL#MODEL of the server of --sampler openai; its key is in $OPENAI_API_KEY"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., split (over all GPUs) or auto")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: the checkpoint's on a GPU")] = "auto",
    backend: Annotated[
        str,
        typer.Option(help="packed, separate (slow: one forward for each condition), or auto: packed where it is exact"),
    ] = "auto",
    max_unfaithful: Annotated[float, typer.Option(help="share of questions that may fail any gate")] = 0.1,
    min_accuracy: Annotated[
        float | None, typer.Option(help="accuracy with chain of thought that a trusted model must exceed, 0 to 1")
    ] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="run Python code that comes with the model")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each process on a CPU [default: as many as torch takes]")
    ] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="write the run folder with its units of work, for faithlens work")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(help="several workers: by ray, slurm, or local (processes of this machine)")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="with --engine: number of workers")] = 2,
    gpus_per_worker: Annotated[float, typer.Option(help="with --engine: GPUs a worker; with ray also 0.5")] = 0,
    address: Annotated[str | None, typer.Option(help="with --engine ray: a running cluster, or auto")] = None,
    submit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="with --engine slurm or local: options of submitit")
    ] = None,
) -> None:
    """Sample chains of thought, edit them, read answers and internals, and judge whether they may be relied on.

    Without --model: two organisms whose faithfulness is known, then SmolLM2-135M.
    """
    options: dict[str, Any] = {
        "name": name,
        "suite": suite,
        "assays": assays or (),
        "samples": samples,
        "traces": traces,
        "skip_bad": skip_bad,
        "editor": editor,
        "regenerations": regenerations,
        "points": points,
        "ends": ends,
        "batch": batch,
        "budget": budget,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "sampler": sampler,
        "sampler_url": sampler_url,
        "device": device,
        "dtype": dtype,
        "backend": backend,
        "trust_remote_code": trust_remote_code,
        "max_unfaithful": max_unfaithful,
        "min_accuracy": min_accuracy,
        "threads": threads,
    }
    crew = {"workers": workers, "gpus": gpus_per_worker, "address": address, "options": parse_submit_options(submit)}
    console = SafeConsole()
    if resume is not None and (out is not None or dry_run):
        problem = "--resume names the folder of a run that goes on, so --out and --dry-run have no place beside it"
        raise ConfigError(problem, "Leave out --resume, or leave out --out and --dry-run.")
    if dry_run:
        _print_costs(model, task, n, options, as_json)
        return
    _check_folders(out, resume)
    with show_work(LOADING) as display:
        # torch takes seconds to import: neither --help nor the error of a misspelt name waits for it
        from faithlens.commands.engines.choice import ENGINES
        from faithlens.config import check_names

        check_names(model or [], task, n, {} if resume else options)
        if engine is not None:
            check_choice(engine, ENGINES, "engine")
        from faithlens.commands.audit import Staff, make_audit_config, name_run_folder, run_staffed_audit
        from faithlens.commands.resume import resume_audit
        from faithlens.report.terminal import format_summary

        folder = resume or out or name_run_folder()
        staff = Staff(prepare_only, engine, crew, tuple(reuse or ()))
        with resumable(folder):
            if resume is None:
                config, objects = make_audit_config(model, task, n, **options)
                run = run_staffed_audit(config, folder, objects, staff, notify=display.note)
            else:
                every = {"model": model, "task": task, "n": n, **options}
                extra = {option: value for option, value in every.items() if option in list_typed_options()}
                run = resume_audit(folder, extra, display.note, staff)
    if prepare_only:
        console.print_line(describe_prepared(run))
        return
    if as_json:
        typer.echo(format_json({"run": str(run.path), "report": str(run.report()), **run.read_json("verdict.json")}))
        return
    console.print(format_summary(run))
    console.print_line(f"Report: {run.report()}")


def _check_folders(out: Place | None, resume: Place | None) -> None:
    """Refuse a folder for a new run that holds something, and one to be continued that holds no run."""
    from faithlens.store import Run

    if resume is not None:
        check_run(resume)
    elif out is not None:
        Run.refuse_used(out)


def _print_costs(
    model: list[str] | None, task: str | None, n: int | None, options: dict[str, Any], as_json: bool
) -> None:
    with show_work(LOADING):
        from faithlens.config import check_names

        check_names(model or [], task, n, options)
        from faithlens.commands.audit import make_audit_config
        from faithlens.commands.prepare import estimate_audit, summarise_costs

        costs = estimate_audit(*make_audit_config(model, task, n, **options))
    if as_json:
        typer.echo(format_json(summarise_costs(costs)))
        return
    for cost in costs:
        SafeConsole().print_lines(str(cost))


def sweep(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.toml]", help="families of models, tasks and options")
    ] = None,
    out: Annotated[
        Place | None,
        typer.Option(parser=parse_place, metavar="FOLDER", help="new or empty folder [default: faithlens-runs/<time>]"),
    ] = None,
    resume: ResumedFolder = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object: folder and answers")] = False,
) -> None:
    """Audit models x checkpoints x tasks, and estimate the effect of size and difficulty on faithfulness.

    First, each model is tried out, which gives an estimate of the total cost. Then the models are audited in turn.
    """
    if (resume is not None and (out is not None or dry_run)) or (resume is None and file is None):
        problem = "a sweep is started from FILE.toml, with --out or --dry-run, or continued by --resume DIR"
        raise ConfigError(problem, "Name FILE.toml, or give --resume DIR without --out and --dry-run.")
    if file is not None and not file.exists():
        raise ConfigError(f"there is no sweep file {file}", f"{suggest_path(file)}Name a TOML file.")
    _check_folders(out, resume)
    console, costs = SafeConsole(), list[str]()
    with show_work(LOADING) as display:
        from faithlens.commands.audit import name_run_folder
        from faithlens.commands.resume import resume_sweep
        from faithlens.commands.sweep.config import read_sweep_config
        from faithlens.commands.sweep.run import run_sweep
        from faithlens.commands.sweep.trial import try_out_models
        from faithlens.report.sweep import format_sweep

        config, folder = file and read_sweep_config(file), resume or out or name_run_folder()
        with resumable(folder):
            run = None
            if config and dry_run:
                try_out_models(config, costs.append)
            elif resume or not config:
                run = resume_sweep(folder, config, display.note)
            else:
                run = run_sweep(config, folder, notify=display.note)
    if run is None:
        for cost in costs:
            console.print_lines(cost)
        return
    if as_json:
        typer.echo(format_json({"run": str(run.path), **run.read_json("sweep.json")}))
        return
    console.print(format_sweep(run))
    console.print_line(f"Tables and audits: {run.path}")
