"""`faithlens sweep`: try out every model, audit one after the other, and relate their numbers to size and difficulty.

DIR/manifest.json       options, and what was measured when the models were tried out
DIR/runs/<model>/       an audit of each model at each checkpoint; finished ones are kept when the sweep is resumed
DIR/measurements.parquet  one row for each model x task x measure of the sweep; items.parquet the same by question
DIR/sweep.json          what size and difficulty do to these measures

One model is in memory at a time. Because all are tried out first, each is loaded twice and its first batch is
sampled twice. In return the cost is known before the sweep, and the last model is not refused after hours of work.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, fields
from urllib.parse import quote

from faithlens.commands.audit import run_or_read_audit
from faithlens.commands.sweep.config import SweepConfig
from faithlens.commands.sweep.tables import build_items, build_measurements
from faithlens.commands.sweep.trial import Notify, Trial, try_out_models
from faithlens.errors import RunError
from faithlens.stats.scaling.by_family import answer_by_difficulty, answer_by_size
from faithlens.store import Run, hold_folder, make_manifest
from faithlens.store.places import Place


def run_sweep(config: SweepConfig, out: Place, *, resume: bool = False, notify: Notify = lambda words: None) -> Run:
    """Audit all models and write the folder `out`; `notify` is called with the estimated cost and the progress.

    A task on which a model does not answer, or for which its context is too short, is left out with the reason.

    Raises:
        FaithlensError: a model or the folder cannot be used; where that shows in trying out, nothing was written.
    """
    Run.refuse_used(out, resume)
    identity = make_manifest(config.to_dict(), config.options.seed, config.options.device)
    with ExitStack() as held:
        if Run.is_used(out):
            held.enter_context(hold_folder(out))
            run = Run.create(out, identity, resume=True)
        else:
            trials = {model: asdict(trial) for model, trial in try_out_models(config, notify).items()}
            held.enter_context(hold_folder(out))
            run = Run.create(out, identity | {"trials": trials})
        tried = read_trials(run, config)
        runs: dict[str, Run] = {}
        for i, member in enumerate(config.members, start=1):
            if tasks := tuple(task for task in member.tasks if task not in tried[member.model].refused):
                notify(f"{i} of {len(config.members)}: {member.model}")
                folder = out / "runs" / quote(member.model, safe="@")
                runs[member.model] = run_or_read_audit(config.make_audit_config(member, tasks), folder)
        write_sweep_results(config, tried, runs, run)
    return run


def read_trials(run: Run, config: SweepConfig) -> dict[str, Trial]:
    """What trying out each model showed. Raises RunError where the manifest of the sweep lacks a model."""
    entries = run.manifest["trials"]
    if missing := [member.model for member in config.members if member.model not in entries]:
        problem = f"the manifest.json of the sweep in {run.path} has no trial of {', '.join(missing)}"
        raise RunError(problem, "Restore the file from a copy, or run the command again in a new folder.")
    names = [field.name for field in fields(Trial)]
    return {model: Trial(**{name: entry[name] for name in names}) for model, entry in entries.items()}


def write_sweep_results(config: SweepConfig, trials: Mapping[str, Trial], runs: Mapping[str, Run], run: Run) -> None:
    """Write the tables and answers of the sweep from its audits; no model is needed."""
    measured = build_measurements(config.members, trials, runs, config.measures)
    items = build_items(config.members, trials, runs, config.measures)
    for name, table in (("measurements", measured), ("items", items)):
        run.write_frame(f"{name}.parquet", table)
    results = {
        "size": list(answer_by_size(measured, items, config.measures, config.options.seed)),
        "difficulty": list(answer_by_difficulty(measured, items, config.measures, config.difficulty)),
    }
    run.write_json("sweep.json", results)
