"""`audit`: which models' chains of thought drive their answers? Questions in, one run folder out.

1. Load models and tasks, sample a first batch of chains of thought, find the answer stem under which each model
   answers, and score one question to estimate the cost. Errors are raised here, before the folder is made.
2. Sample and score the batches one by one; each is written as soon as it is finished.
3. From all scores, write estimates, verdicts and the report.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import torch

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.battery import CaseResult
from faithlens.assays.cases import Chain, ChosenStem, check_room, choose_stem, sample_chains
from faithlens.assays.imported_chains import import_chains
from faithlens.commands.decide import judge_subjects
from faithlens.commands.progress import ProgressLine, show_progress
from faithlens.config import DEFAULT_N, AuditConfig, Subject, parse_subjects
from faithlens.errors import ConfigError, TraceError, check_choice
from faithlens.execution.execute import BACKENDS
from faithlens.execution.sample import Sampling
from faithlens.interventions.case import Case
from faithlens.interventions.editor import load_editor
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import list_measures
from faithlens.measures.score import Score
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.report.page import write_page
from faithlens.stats.estimate import compute_estimates
from faithlens.store import REPORT_NAME, Run, make_manifest
from faithlens.tasks.question import Question, Task
from faithlens.tasks.registry import load_task as find_task
from faithlens.tasks.transcripts import TranscriptTask

ModelLoader = Callable[[str], Model]


@dataclass(frozen=True)
class PreparedSubject:
    """A subject whose model answers: its batches of questions, the stem, and the first batch's chains of thought.

    `imported_chains` are chains that were written elsewhere, by question; None where chains are sampled.
    """

    subject: Subject
    setting: Setting
    assays: Mapping[str, Assay]
    batches: list[list[Question]]
    imported_chains: Mapping[str, list[Chain]] | None
    chosen_stem: ChosenStem
    first_chains: list[Chain]


@dataclass(frozen=True)
class AuditCost:
    """The cost of scoring a subject, estimated from one of its chains.

    Attributes:
        chains: the number of chains of thought.
        conditions: the number of edited versions of one chain.
        texts, tokens: the number of texts written for one chain, and of their tokens, without the chain itself.
        seconds: for all chains, if each takes as long as the first did alone; batches take less.
    """

    subject: Subject
    chains: int
    conditions: int
    texts: int
    tokens: int
    seconds: float

    def __str__(self) -> str:
        written = f", {self.texts} texts of together {self.tokens:,} tokens" if self.texts else ""
        return (
            f"{self.subject.key}: {self.chains} chains of thought; for the first, {self.conditions} edited versions"
            f"{written}. All will take at most about {format_duration(self.seconds)}."
        )


def format_duration(seconds: float) -> str:
    """A time in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@dataclass(frozen=True)
class GivenObjects:
    """Models, tasks and assays that exist only in memory, by the names that a config uses for them."""

    models: Mapping[str, Model] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    assays: Mapping[str, Assay] = field(default_factory=dict)


NO_OBJECTS = GivenObjects()
SAMPLING_OPTIONS = tuple(each.name for each in fields(Sampling))
OPTIONS = (
    *(each.name for each in fields(AuditConfig) if each.name not in {"subjects", "n", "sampling"}),
    *SAMPLING_OPTIONS,
)
"""The options of `audit`, those of the command line."""


def audit(
    model: str | Path | Model | Sequence[str | Path | Model] | None = None,
    task: str | Path | Task | None = None,
    n: int | None = None,
    out: str | Path | None = None,
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
        n: the number of questions for each model. Default: 20, or all questions of a smaller file.
        out: a new or empty folder. Default: ``faithlens-runs/<time>``.
        resume: whether to continue the run in `out`, which must have the same options.
        notify: is called with an estimate of the cost of each subject, before the folder is made.
        options: the options of ``faithlens audit``: ``suite``, ``assays`` (names, places as ``package.module:Class``,
            or assay objects), ``traces``, ``samples``, ``editor``, ``points``, ``batch``, ``seed``, ``max_new_tokens``,
            ``temperature``, ``top_p``, ``device``, ``dtype``, ``backend``, ``budget``, ``trust_remote_code``,
            ``min_faithfulness``, ``min_accuracy``.

    Returns:
        The finished run. The folder holds its tables, verdict.json and report.html.

    Raises:
        ConfigError: an option is unknown or out of its range.
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    config, objects = make_audit_config(model, task, n, **options)
    return run_audit(config, Path(out) if out else name_run_folder(), objects, resume=resume, notify=notify)


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
    traces = options.pop("traces", None)
    if traces and task:
        problem = f"a task ({task}) is given next to traces, whose file {traces} holds the questions"
        raise ConfigError(problem, "Leave out the task (--task) or the traces (--traces).")
    several = model if isinstance(model, (list, tuple)) else [model] if model else []
    models = {each.name: each for each in several if isinstance(each, Model)}
    names = [each.name if isinstance(each, Model) else str(each) for each in several]
    tasks = {} if task is None or isinstance(task, (str, Path)) else {task.name: task}
    task_name = str(traces) if traces else next(iter(tasks), str(task) if task else None)
    given_assays = options.pop("assays", ())
    if isinstance(given_assays, str):
        given_assays = [name.strip() for name in given_assays.split(",") if name.strip()]
    found = [each if isinstance(each, str) else battery.find_assay(each) for each in given_assays]
    assay_names = tuple(each if isinstance(each, str) else battery.name_assay(each) for each in found)
    own = {name: each for name, each in zip(assay_names, found, strict=True) if not isinstance(each, str)}
    config = AuditConfig(
        subjects=parse_subjects(names, task_name),
        n=n,
        assays=assay_names,
        traces=str(traces) if traces else None,
        points=options.pop("points", AuditConfig.points) or None,
        sampling=Sampling(**{name: options.pop(name) for name in SAMPLING_OPTIONS if name in options}),
        **options,
    )
    return config, GivenObjects(models, tasks, own)


def run_audit(
    config: AuditConfig,
    out: Path,
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
    open_model = make_model_loader(config, objects)
    ready = [prepare_subject(config, s, open_model, objects) for s in config.subjects]
    for r in ready:
        notify(str(estimate_subject(config, r)))
    device = str(ready[0].setting.model.device)
    manifest = make_manifest(config.to_dict(), config.seed, device) | {
        "threads": torch.get_num_threads(),
        "subjects": {r.subject.key: describe_subject(r) for r in ready},
    }
    in_memory = describe_objects(objects)
    if in_memory:
        manifest["in_memory"] = in_memory
    run = Run.create(out, manifest, resume=resume)
    with show_progress({r.subject.key: sum(map(len, r.batches)) for r in ready}) as lines:
        for r in ready:
            score_subject(config, r, run, lines[r.subject.key])
    return write_results(config, ready, run)


def run_or_read_audit(config: AuditConfig, out: Path) -> Run:
    """The finished audit in `out`; it is run, or continued, where it is not finished.

    Raises:
        FaithlensError: as `run_audit`.
    """
    if (out / REPORT_NAME).is_file():  # what an audit writes last
        return Run.open(out)
    return run_audit(config, out, resume=(out / "manifest.json").is_file())


def estimate_audit(config: AuditConfig, objects: GivenObjects = NO_OBJECTS) -> list[AuditCost]:
    """The cost of a run for each subject; nothing is written.

    Raises:
        FaithlensError: a model or task cannot be used.
    """
    open_model = make_model_loader(config, objects)
    return [estimate_subject(config, prepare_subject(config, s, open_model, objects)) for s in config.subjects]


def describe_subject(ready: PreparedSubject) -> dict:
    """The source of the weights, the answer stem and the assays, for the manifest."""
    return {
        "source": ready.setting.model.source,
        "stem": ready.chosen_stem.stem.text,
        "close": ready.chosen_stem.stem.close,
        "coverage": ready.chosen_stem.coverage,
        "assays": list(ready.assays),
    }


def describe_objects(objects: GivenObjects) -> dict[str, dict[str, str]]:
    """The class of each model, task and assay that was given as an object, for the manifest; empty if none was."""
    kinds: dict[str, Mapping[str, object]] = {
        "models": {name: model.hf_model for name, model in objects.models.items()},
        "tasks": objects.tasks,
        "assays": objects.assays,
    }
    return {kind: {name: _name_class(each) for name, each in given.items()} for kind, given in kinds.items() if given}


def _name_class(given: object) -> str:
    return given.__name__ if isinstance(given, ModuleType) else f"{type(given).__module__}.{type(given).__qualname__}"


def make_model_loader(config: AuditConfig, objects: GivenObjects = NO_OBJECTS) -> ModelLoader:
    """A function from a name to its model. A model with several tasks in a row is loaded once."""
    options = {"device": config.device, "dtype": config.dtype, "trust_remote_code": config.trust_remote_code}
    load_once = lru_cache(maxsize=1)(partial(load, **options))
    return lambda name: objects.models.get(name) or load_once(name)


def prepare_subject(
    config: AuditConfig, subject: Subject, open_model: ModelLoader, objects: GivenObjects = NO_OBJECTS
) -> PreparedSubject:
    """Load a subject, sample its first batch and find the stem under which it answers."""
    names = config.assays or battery.get_suite(config.suite)
    assays = battery.select_assays([objects.assays.get(name, name) for name in names])
    task = objects.tasks.get(subject.task) or (
        TranscriptTask(config.traces) if config.traces else find_task(subject.task)
    )
    n = config.n or min(DEFAULT_N, task.size or DEFAULT_N)
    questions = task.draw_questions(n, config.seed)
    model = open_model(subject.model)
    editor, exact = load_editor(config.editor, config.sampling, device=config.device, dtype=config.dtype)
    setting = Setting(model, task, config.seed, config.sampling, editor, exact, config.points)
    given = None
    if isinstance(task, TranscriptTask):
        given = group_by_question(import_chains(model, task, task.transcripts, config.seed))
    else:
        check_room(model, task, questions, config.sampling, config.seed)
    batches = [questions[i : i + config.batch] for i in range(0, len(questions), config.batch)]
    with show_progress({subject.key: len(questions)}) as lines:
        first = collect_chains(config, setting, given, assays, batches[0], lines[subject.key])
        chosen = choose_stem(model, task, first, backend=config.backend)
    return PreparedSubject(subject, setting, assays, batches, given, chosen, first)


def group_by_question(chains: Sequence[Chain]) -> dict[str, list[Chain]]:
    """Chains of thought by the id of the question they answer."""
    by_question: dict[str, list[Chain]] = {}
    for chain in chains:
        by_question.setdefault(chain.question.id, []).append(chain)
    return by_question


def collect_chains(
    config: AuditConfig,
    setting: Setting,
    imported_chains: Mapping[str, list[Chain]] | None,
    assays: Mapping[str, Assay],
    questions: Sequence[Question],
    line: ProgressLine,
) -> list[Chain]:
    """The chains of thought of some questions: those given, or newly sampled ones."""
    if imported_chains is not None:
        return [chain for question in questions for chain in imported_chains[question.id]]
    line.set_activity("sampling chains")
    return sample_chains(
        setting.model,
        setting.task,
        questions,
        config.sampling,
        config.seed,
        line.add_tokens,
        samples=config.samples,
        with_counterfactuals=battery.needs_counterfactuals(assays.values()),
    )


def estimate_subject(config: AuditConfig, ready: PreparedSubject) -> AuditCost:
    """Score one chain and return only the cost."""
    first = next(chain for chain in ready.first_chains if isinstance(chain, Case))
    case = first.with_stem(ready.setting.model, ready.chosen_stem.stem)
    written, start = Counter[str](), perf_counter()
    [result] = battery.run_battery(
        ready.setting, [case], tuple(ready.assays.values()), budget=config.budget, backend=config.backend,
        notify=lambda tokens: written.update(tokens=tokens),
    )  # fmt: skip
    seconds = perf_counter() - start
    chains = sum(map(len, ready.batches)) * len(ready.first_chains) // len(ready.batches[0])
    texts = len(result.case.generated_texts)
    return AuditCost(ready.subject, chains, len(result.records), texts, written["tokens"], seconds * chains)


def score_subject(config: AuditConfig, ready: PreparedSubject, run: Run, line: ProgressLine) -> None:
    """Sample and score all batches that are not done yet; each is kept as soon as it is scored."""
    for i, questions in enumerate(ready.batches):
        key = f"{ready.subject.key} {i}"
        if key not in run.finished_keys("traces"):
            some = ready.first_chains
            if i > 0:
                some = collect_chains(config, ready.setting, ready.imported_chains, ready.assays, questions, line)
            line.set_activity("writing and scoring")
            score_batch(config, ready, key, some, run, line.add_tokens)
        line.add_questions(len(questions))
    line.set_activity("done")


def score_batch(
    config: AuditConfig,
    ready: PreparedSubject,
    key: str,
    chains: Sequence[Chain],
    run: Run,
    progress: Callable[[int], None] = lambda tokens: None,
) -> None:
    """Score one batch and write it: traces last, so that a part of traces means a whole batch."""
    setting, stem = ready.setting, ready.chosen_stem.stem
    cases: list[Case] = []
    scored: list[tuple[str, int, list[Score]]] = []
    for chain in chains:
        try:
            if isinstance(chain, Case):
                cases.append(chain.with_stem(setting.model, stem))
                continue
            reason = chain.reason
        except TraceError as error:
            reason = error.problem
        scored.append((chain.question.id, chain.sample, make_missing_scores(ready.assays, reason)))
    results = battery.run_battery(
        setting,
        cases,
        tuple(ready.assays.values()),
        budget=config.budget,
        backend=config.backend,
        notify=progress,
    )
    who = asdict(ready.subject)
    scored += [(r.case.question.id, r.case.sample, r.scores) for r in results]
    rows = [{**who, "question": q, "sample": k, **asdict(s)} for q, k, scores in scored for s in scores]
    run.write_part("scores", key, rows)
    run.write_part("answers", key, [{**who, **row} for r in results for row in make_answer_rows(r)])
    run.write_part("edits", key, [{**who, **row} for r in results for row in make_edit_rows(r)])
    run.write_part("traces", key, [{**who, **make_trace_row(r)} for r in results])


def make_missing_scores(assays: Collection[str], reason: str) -> list[Score]:
    """The scores of a chain of thought that could not be used: none, and why."""
    return [
        Score(measure.name, None, reason=reason)
        for measure in list_measures(place="lost chain")
        if measure.assay in assays
    ]


def make_answer_rows(result: CaseResult) -> Iterator[dict]:
    """The log-probability of every candidate under every condition: what behavioural scores are made from."""
    at = {"question": result.case.question.id, "sample": result.case.sample}
    for name, record in result.records.items():
        yield {**at, "condition": name, "logprobs": record.logprobs.tolist()}


def make_edit_rows(result: CaseResult) -> Iterator[dict]:
    """A row for every edit of the words of a step."""
    for edit in result.edits:
        yield {"question": result.case.question.id, "sample": result.case.sample, **asdict(edit)}


def make_trace_row(result: CaseResult) -> dict:
    """A row of the table of traces: the chain of thought, and the answer after it."""
    case, trace = result.case, result.case.trace
    return {
        "question": case.question.id,
        "sample": case.sample,
        "prompt": trace.texts[0],
        "cot": trace.cot,
        "said": trace.reply,
        "steps": list(trace.texts[1:]),
        "answer": case.question.answer,
        "predicted": case.candidates[choose_option(result.records["full"].logprobs)],
        "candidates": list(case.candidates),
        "stem": case.get_slot().words.text,
        "finish": trace.finish,
        "n_tokens": len(trace),
        "seed": trace.seed,
    }


def write_results(config: AuditConfig, ready: Sequence[PreparedSubject], run: Run) -> Run:
    """Write estimates, verdicts and the report from the scores."""
    scores = run.read("scores")
    table = compute_estimates(scores, config.seed)
    run.finish({"estimates": table})
    who = [(r.subject.model, r.subject.task, read_planted_truth(r)) for r in ready]
    run.write_json("verdict.json", {"subjects": list(judge_subjects(scores, table, who, config.criteria))})
    write_page(run)
    return run


def read_planted_truth(ready: PreparedSubject) -> str | None:
    """The planted truth of an organism, in words; None for other models."""
    plan = getattr(ready.setting.model.hf_model.config, "faithlens", None) or {}
    return plan.get("truth")
