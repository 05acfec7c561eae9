"""`audit`: which models' chains of thought drive their answers? Questions in, one run folder out.

1. Compute the digests of all inputs. A run that is continued must have the same; files of it that are damaged are moved
   away, so that their batches are done again.
2. Load models and tasks, sample a first batch of chains of thought, find the answer stem under which each model
   answers, and score one question to estimate the cost. Errors are raised here, before the folder is made.
3. Sample and score the batches one by one; each is written as soon as it is finished.
4. From all scores, write estimates, verdicts and the report.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from faithlens.assays import battery
from faithlens.commands.engines.choice import make_engine
from faithlens.commands.engines.engine import make_crew
from faithlens.commands.identity import check_sampler, make_audit_manifest
from faithlens.commands.prepare import (
    NO_OBJECTS,
    GivenObjects,
    estimate_subject,
    find_stem,
    make_model_loader,
    prepare_subject,
)
from faithlens.commands.work.conclude import conclude
from faithlens.commands.work.folder import hold_run, use_threads
from faithlens.commands.work.reuse import find_reusable, take_over
from faithlens.commands.work.run import prepare_run
from faithlens.commands.work.units import list_audit_units, name_unit
from faithlens.commands.work.worker import Worker, keep_start
from faithlens.config import AuditConfig, Subject, check_subjects, list_assays, parse_subjects, read_options
from faithlens.errors import ConfigError
from faithlens.model.model import Model
from faithlens.progress import open_display
from faithlens.store import REPORT_NAME, Run, find_place
from faithlens.store.places import Place
from faithlens.tasks.question import Task
from faithlens.tasks.registry import load_task as find_task

FIRST_RUN_TOKENS = 160
"""The longest chain of an audit without a model: SmolLM2-135M repeats itself, and a first run should take minutes."""


def audit(
    model: str | Path | Model | Sequence[str | Path | Model] | None = None,
    task: str | Path | Task | None = None,
    n: int | None = None,
    out: str | Place | None = None,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
    prepare_only: bool = False,
    engine: str | None = None,
    crew: Mapping[str, Any] | None = None,
    reuse: Sequence[str | Place] = (),
    **options: Any,
) -> Run:
    """Sample chains of thought, edit them, read answers and internals, and judge whether the chains may be relied on.

    Args:
        model: a hub id (``org/name`` or ``org/name@revision``), a folder, a GGUF file, a short name, or a `Model` from
            `load` or `wrap`; or several of these. Default: two organisms and SmolLM2-135M, as on the command
            line, with chains of at most 160 tokens.
        task: a task's name, a file of questions, or a task object. Default: the task of the organism, or
            ``arithmetic-mc`` for any other model.
        n: the number of questions for each model. Default: 40, or all questions of a smaller file.
        out: a new or empty folder. Default: ``faithlens-runs/<time>``.
        resume: whether to continue the run in `out`, which must have the same options.
        notify: is called with an estimate of the cost of each subject, before the folder is made.
        prepare_only: whether only the manifest and the list of units is written, for ``faithlens work`` to do them and
            ``faithlens conclude`` to end the run.
        engine: who starts several workers: "ray", "slurm", or "local" (processes of this machine); one worker in this
            process by default.
        crew: the workers of the engine: ``workers``, ``gpus`` for each, ``address`` of a Ray cluster, ``options`` of
            submitit.
        reuse: folders of other runs, whose finished units and chains of thought are taken over where everything that
            they depend on is the same.
        options: the options of ``faithlens audit``: ``suite``, ``assays`` (names, places as ``package.module:Class``,
            or assay objects), ``traces``, ``skip_bad``, ``samples``, ``editor``, ``regenerations``, ``points``,
            ``ends``, ``batch``, ``seed``, ``max_new_tokens``, ``temperature``, ``top_p``, ``device``, ``dtype``,
            ``backend``, ``budget``, ``sampler``, ``sampler_url``, ``trust_remote_code``, ``max_unfaithful``,
            ``min_accuracy``, ``threads``.

    Returns:
        The finished run. The folder holds its tables, verdict.json and report.html. With `prepare_only`, the run to
        work on.

    Raises:
        ConfigError: an option is unknown or out of its range.
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    config, objects = make_audit_config(model, task, n, **options)
    folder = find_place(out) if out else name_run_folder()
    staff = Staff(prepare_only, engine, crew or {}, tuple(map(find_place, reuse)))
    return run_staffed_audit(config, folder, objects, staff, resume=resume, notify=notify)


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
    config = read_options(n, **options)
    several = model if isinstance(model, (list, tuple)) else [model] if model else []
    if not several and config.sampling.max_new_tokens is None:
        config = replace(config, sampling=replace(config.sampling, max_new_tokens=FIRST_RUN_TOKENS))
    task_name = str(task) if isinstance(task, (str, Path)) else None
    check_subjects([str(each) for each in several if not isinstance(each, Model)], task_name, config.traces)
    sources = [each.name if isinstance(each, Model) else str(each) for each in several]
    names = name_models(sources, options.get("name"))
    models = {name: each for name, each in zip(names, several, strict=True) if isinstance(each, Model)}
    known_as = dict(zip(sources, names, strict=True))
    tasks = {} if task is None or task_name else {(own := find_task(task)).name: own}
    subjects = parse_subjects(sources, config.traces or next(iter(tasks), task_name))
    chosen = list_assays(options.get("assays", ()))
    assays = [each if isinstance(each, str) else battery.find_assay(each) for each in chosen]
    assay_names = tuple(each if isinstance(each, str) else battery.name_assay(each) for each in assays)
    config = replace(
        config,
        subjects=tuple(Subject(known_as.get(s.model, s.model), s.task) for s in subjects),
        sources={name: source for source, name in known_as.items() if name != source and name not in models},
        assays=assay_names,
    )
    own_assays = {name: each for name, each in zip(assay_names, assays, strict=True) if not isinstance(each, str)}
    return config, GivenObjects(models, tasks, own_assays)


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


@dataclass(frozen=True)
class Staff:
    """Who does the units of an audit: this process, the workers of an engine, or with `prepare_only` nobody yet.

    The finished units of the runs in `reuse` are taken over.
    """

    prepare_only: bool = False
    engine: str | None = None
    crew: Mapping[str, Any] = field(default_factory=dict[str, Any])
    reuse: Sequence[Place] = ()


THIS_PROCESS = Staff()


def run_staffed_audit(
    config: AuditConfig,
    out: Place,
    objects: GivenObjects = NO_OBJECTS,
    staff: Staff = THIS_PROCESS,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
) -> Run:
    """Run, or only prepare, an audit in the folder `out`; see `audit`.

    Raises:
        FaithlensError: as `audit`.
    """
    crew = make_crew(staff.crew)
    if staff.engine is None and not staff.prepare_only:
        return run_audit(config, out, objects, resume=resume, notify=notify, reuse=staff.reuse)
    engine = None if staff.prepare_only else make_engine(str(staff.engine))
    with prepare_run(config, out, objects, resume=resume, notify=notify, reuse=staff.reuse) as run:
        if engine is None:
            return run
        engine.work(run, crew)
        return conclude(run)


def run_audit(
    config: AuditConfig,
    out: Place,
    objects: GivenObjects = NO_OBJECTS,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
    reuse: Sequence[Place] = (),
) -> Run:
    """Run the assays on every subject and write the run folder, verdict and report: an audit with one worker.

    `notify` is called with an estimate of the cost of each subject, before the folder is made, or with what is taken
    over from the runs in `reuse`.

    Raises:
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    Run.refuse_used(out, resume)
    manifest = make_audit_manifest(config, objects)
    units = list_audit_units(config, manifest, objects)
    with ExitStack() as held:
        run = held.enter_context(hold_run(out, manifest, units, objects)) if Run.is_used(out) else None
        held.enter_context(use_threads(run.manifest["threads"] if run else config.threads))
        if reuse:
            sources = find_reusable(reuse, manifest, units)
            run = run or held.enter_context(hold_run(out, manifest, units, objects))
            take_over(run, sources, notify)
        facts = run.get_facts("subjects") if run else {}
        open_model = make_model_loader(config, objects)
        prepared = {
            s.key: prepare_subject(
                config,
                s,
                open_model,
                objects,
                find_stem(facts.get(s.key)),
                run.read_chains(name_unit(s, 0)) if run else None,
            )
            for s in config.subjects
        }
        seconds = 0.0 if not facts else None
        for key, ready in prepared.items():
            if key in facts:
                check_sampler(out, facts[key], ready.subject.key, ready.setting)
            else:
                cost = estimate_subject(config, ready)
                seconds = None if seconds is None else seconds + cost.seconds
                notify(str(cost))
        run = run or held.enter_context(hold_run(out, manifest, units, objects))
        for key, ready in prepared.items():
            if key not in facts:
                keep_start(run, ready)
        Worker(config, run, objects, keeps_going=False, seconds=seconds, prepared=prepared).work()
        with open_display() as display:
            display.say("writing the verdict and the report")
            return conclude(run)


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
