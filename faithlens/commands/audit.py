"""`audit`: which models' chains of thought drive their answers? Questions in, one run folder out.

1. Compute the digests of all inputs. A run that is continued must have the same; files of it that are damaged are moved
   away, so that their batches are done again.
2. Load models and tasks, sample a first batch of chains of thought, find the answer stem under which each model
   answers, and score one question to estimate the cost. Errors are raised here, before the folder is made.
3. Sample and score the batches one by one; each is written as soon as it is finished.
4. From all scores, write estimates, verdicts and the report.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from faithlens.assays import battery
from faithlens.commands.decide import judge_subjects
from faithlens.commands.identity import check_samplers, describe_subjects, make_audit_manifest
from faithlens.commands.prepare import (
    NO_OBJECTS,
    GivenObjects,
    PreparedSubject,
    estimate_subject,
    make_model_loader,
    prepare_subject,
)
from faithlens.commands.progress import show_progress
from faithlens.commands.score import score_subject
from faithlens.config import COUNTS_OF_STEPS, AuditConfig, Subject, parse_subjects
from faithlens.errors import ConfigError, check_choice
from faithlens.execution.execute import BACKENDS
from faithlens.execution.sample import Sampling
from faithlens.interventions.editor import check_editor
from faithlens.model.library import get_structure_entry
from faithlens.model.model import Model
from faithlens.progress import open_display
from faithlens.report.page import write_page
from faithlens.stats.estimate import compute_estimates
from faithlens.store import REPORT_NAME, Run, find_place, hold_folder
from faithlens.store.places import Place
from faithlens.tasks.question import Task

SAMPLING_OPTIONS = tuple(each.name for each in fields(Sampling))
OPTIONS = (
    *(each.name for each in fields(AuditConfig) if each.name not in {"subjects", "n", "sampling", "sources"}),
    *SAMPLING_OPTIONS,
    "name",
)
"""The options of `audit`, those of the command line."""


def audit(
    model: str | Path | Model | Sequence[str | Path | Model] | None = None,
    task: str | Path | Task | None = None,
    n: int | None = None,
    out: str | Place | None = None,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
    **options: Any,
) -> Run:
    """Sample chains of thought, edit them, read answers and internals, and judge whether the chains may be relied on.

    Args:
        model: a hub id (``org/name`` or ``org/name@revision``), a folder, a GGUF file, a short name, or a `Model` from
            `load` or `wrap`; or several of these. Default: two organisms and SmolLM2-135M, as on the command line.
        task: a task's name, a file of questions, or a task object. Default: the task of the organism, or
            ``arithmetic-mc`` for any other model.
        n: the number of questions for each model. Default: 40, or all questions of a smaller file.
        out: a new or empty folder. Default: ``faithlens-runs/<time>``.
        resume: whether to continue the run in `out`, which must have the same options.
        notify: is called with an estimate of the cost of each subject, before the folder is made.
        options: the options of ``faithlens audit``: ``suite``, ``assays`` (names, places as ``package.module:Class``,
            or assay objects), ``traces``,
            ``skip_bad``, ``samples``, ``editor``, ``regenerations``, ``points``, ``batch``, ``seed``,
            ``max_new_tokens``, ``temperature``, ``top_p``, ``device``, ``dtype``, ``backend``, ``budget``,
            ``sampler``, ``sampler_url``,
            ``trust_remote_code``, ``max_unfaithful``, ``min_accuracy``.

    Returns:
        The finished run. The folder holds its tables, verdict.json and report.html.

    Raises:
        ConfigError: an option is unknown or out of its range.
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    config, objects = make_audit_config(model, task, n, **options)
    return run_audit(config, find_place(out) if out else name_run_folder(), objects, resume=resume, notify=notify)


def name_run_folder() -> Path:
    """The default folder of a new run: ``faithlens-runs/<time>``."""
    return Path("faithlens-runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


def make_audit_config(
    model: str | Path | Model | Sequence[str | Path | Model] | None = None,
    task: str | Path | Task | None = None,
    n: int | None = None,
    **options: Any,
) -> tuple[AuditConfig, GivenObjects]:
    """The config of an audit, and the objects in memory that it names. The arguments are those of `audit`.

    Raises:
        ConfigError: an option is unknown or out of its range, or a task is given next to `traces`.
    """
    for name in options:
        check_choice(name, OPTIONS, "option of audit")
    check_choice(options.get("backend", AuditConfig.backend), BACKENDS, "backend")
    battery.get_suite(options.get("suite", AuditConfig.suite))
    check_editor(str(options.get("editor", AuditConfig.editor)))
    traces = options.pop("traces", None)
    if traces and task:
        problem = f"a task ({task}) is given next to traces, whose file {traces} holds the questions"
        raise ConfigError(problem, "Leave out the task (--task) or the traces (--traces).")
    several = model if isinstance(model, (list, tuple)) else [model] if model else []
    sources = [each.name if isinstance(each, Model) else str(each) for each in several]
    names = name_models(sources, options.pop("name", None))
    models = {name: each for name, each in zip(names, several, strict=True) if isinstance(each, Model)}
    known_as = dict(zip(sources, names, strict=True))
    tasks = {} if task is None or isinstance(task, (str, Path)) else {task.name: task}
    task_name = str(traces) if traces else next(iter(tasks), str(task) if task else None)
    given_assays = options.pop("assays", ())
    if isinstance(given_assays, str):
        given_assays = [name.strip() for name in given_assays.split(",") if name.strip()]
    assays = [each if isinstance(each, str) else battery.find_assay(each) for each in given_assays]
    assay_names = tuple(each if isinstance(each, str) else battery.name_assay(each) for each in assays)
    own = {name: each for name, each in zip(assay_names, assays, strict=True) if not isinstance(each, str)}
    config = AuditConfig(
        subjects=tuple(Subject(known_as.get(s.model, s.model), s.task) for s in parse_subjects(sources, task_name)),
        sources={name: source for source, name in known_as.items() if name != source and name not in models},
        n=n,
        assays=assay_names,
        traces=str(traces) if traces else None,
        **{name: options.pop(name) or None for name in COUNTS_OF_STEPS if name in options},
        sampling=Sampling(**{name: options.pop(name) for name in SAMPLING_OPTIONS if name in options}),
        **options,
    )
    return config, GivenObjects(models, tasks, own)


def name_models(sources: Sequence[str], names: str | Sequence[str] | None) -> list[str]:
    """What tables and reports call each model: its own name in `names`, else what it is loaded from.

    Raises:
        ConfigError: there is not one name for each model, or a name is empty or given twice.
    """
    own_names = [names] if isinstance(names, str) else list(names or sources)
    if len(own_names) != len(sources):
        problem = f"each model needs a name of its own, got {len(own_names)} for {len(sources)} models"
        raise ConfigError(problem, "Give one --name after each --model, or none.")
    if bad := next((name for name in own_names if not name.strip() or len({*own_names}) < len({*sources})), None):
        raise ConfigError(f"the name {bad!r} is empty or given twice", "Give each model another --name.")
    return own_names


def run_audit(
    config: AuditConfig,
    out: Place,
    objects: GivenObjects = NO_OBJECTS,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
) -> Run:
    """Run the assays on every subject and write the run folder, verdict and report.

    `notify` is called with an estimate of the cost of each subject, before the folder is made.

    Raises:
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    Run.refuse_used(out, resume)
    manifest = make_audit_manifest(config, objects)
    with ExitStack() as held:
        run = None
        if Run.is_used(out):
            held.enter_context(hold_folder(out))
            run = Run.create(out, manifest, resume=True)
        open_model = make_model_loader(config, objects)
        ready = [prepare_subject(config, s, open_model, objects) for s in config.subjects]
        costs = [estimate_subject(config, r) for r in ready]
        for cost in costs:
            notify(str(cost))
        if run is not None:
            check_samplers(run, ready)
        else:
            held.enter_context(hold_folder(out))
            run = Run.create(out, manifest | describe_subjects(ready, objects))
        questions = {r.subject.key: sum(map(len, r.batches)) for r in ready}
        with show_progress(questions, sum(cost.seconds for cost in costs)) as lines:
            for r in ready:
                score_subject(config, r, run, lines[r.subject.key])
        with open_display() as display:
            display.say("writing the verdict and the report")
            return write_results(config, ready, run)


def run_or_read_audit(config: AuditConfig, out: Place) -> Run:
    """The finished audit in `out`; it is run, or continued, where it is not finished or where files are damaged.

    Raises:
        FaithlensError: as `run_audit`.
    """
    run = Run(out)
    if (out / REPORT_NAME).is_file() and not run.list_faults():  # an audit writes its report last
        run.check_identity(make_audit_manifest(config))
        return run
    return run_audit(config, out, resume=Run.is_used(out))


def write_results(config: AuditConfig, ready: Sequence[PreparedSubject], run: Run) -> Run:
    """Write estimates, verdicts and the report from the scores."""
    scores = run.read("scores")
    table = compute_estimates(scores, config.seed)
    run.finish({"estimates": table})
    who = [(r.subject.model, r.subject.task, read_planted_truth(r)) for r in ready]
    tables = {"scores": scores, "traces": run.read("traces"), "estimates": table}
    run.write_json("verdict.json", {"subjects": list(judge_subjects(tables, who, config.criteria))})
    write_page(run)
    return run


def read_planted_truth(ready: PreparedSubject) -> str | None:
    """The planted truth of an organism, in words; None for other models."""
    return (get_structure_entry(ready.setting.model.hf_model) or {}).get("truth")
