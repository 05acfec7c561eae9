"""A subject of an audit before it is scored: its model and task, the first chains of thought, and the cost.

1. Load the model and the task, and draw the questions.
2. Sample the chains of thought of the first batch, or take those that were written elsewhere.
3. Find the answer stem under which the model answers.
4. Score one chain, and estimate from it what all of them will cost.

A dry run does the same with a first batch of `N_TRIED_QUESTIONS`, so that it takes seconds where the run takes hours.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, cast

import pandas as pd

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.cases import Chain, ChosenStem, check_room, choose_stem, sample_chains
from faithlens.assays.imported_chains import import_chains
from faithlens.assays.left_out import leave_out
from faithlens.assays.text_generation import generate_texts
from faithlens.commands.gate_costs import GateCost, RunSeconds, describe_texts, estimate_gates, format_duration
from faithlens.commands.progress import ProgressLine, show_progress
from faithlens.commands.recorded import read_chain_drafts
from faithlens.config import AuditConfig, Subject
from faithlens.errors import ModelError, TaskError, check_elements
from faithlens.execution.execute import choose_backend
from faithlens.execution.options import Backend
from faithlens.execution.samplers.choice import make_sampler
from faithlens.execution.samplers.recorded import RecordedSampler
from faithlens.execution.work import Work
from faithlens.interventions.case import Case
from faithlens.interventions.editor import load_editor
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.progress import open_display
from faithlens.tasks.counterfactuals import describe_sources, find_counterfactual
from faithlens.tasks.question import Question, Stem, Task
from faithlens.tasks.registry import load_task as find_task
from faithlens.tasks.transcripts import TranscriptTask
from faithlens.tasks.values import is_same_answer

ModelLoader = Callable[[str], Model]
N_TRIED_QUESTIONS = 2  # whose chains of thought a dry run samples


@dataclass(frozen=True)
class GivenObjects:
    """Models, tasks and assays that exist only in memory, by the names that a config uses for them."""

    models: Mapping[str, Model] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    assays: Mapping[str, Assay] = field(default_factory=dict)


NO_OBJECTS = GivenObjects()


@dataclass(frozen=True)
class PreparedSubject:
    """A subject whose model answers: its batches of questions, the stem, and the first batch's chains of thought.

    `backend` runs the edited versions; where the config says "auto", it is the one that was chosen for this model.
    `imported_chains` are chains that were written elsewhere, by question; None where chains are sampled. Writing
    `first_chains` took `sampling_seconds`; it is empty where the stem was known, so that no chain had to be written to
    find it.
    """

    subject: Subject
    setting: Setting
    backend: Backend
    assays: Mapping[str, Assay]
    batches: list[list[Question]]
    imported_chains: Mapping[str, list[Chain]] | None
    chosen_stem: ChosenStem
    first_chains: list[Chain]
    sampling_seconds: float

    def with_stem(self, stem: ChosenStem | None) -> "PreparedSubject":
        """The subject with the stem that another worker found."""
        return replace(self, chosen_stem=stem or self.chosen_stem)


def make_model_loader(config: AuditConfig, objects: GivenObjects = NO_OBJECTS) -> ModelLoader:
    """A function from a name to its model. A model with several tasks in a row is loaded once."""
    options = {"device": config.device, "dtype": config.dtype, "trust_remote_code": config.trust_remote_code}
    load_once = lru_cache(maxsize=1)(partial(load, **options))
    return lambda name: objects.models.get(name) or load_once(config.locate(name))


def prepare_subject(
    config: AuditConfig,
    subject: Subject,
    open_model: ModelLoader,
    objects: GivenObjects = NO_OBJECTS,
    stem: ChosenStem | None = None,
    recorded: pd.DataFrame | None = None,
) -> PreparedSubject:
    """Load a subject; unless its stem is given, sample its first batch and find the stem under which it answers.

    `recorded` are the drafts of another run for the first batch, whose chains of thought need not be drawn again.
    """
    assays = battery.select_assays([objects.assays.get(name, name) for name in list_assay_names(config)])
    task, questions = draw_questions(config, subject, objects)
    with open_display() as display:
        display.say(f"{subject.key}: loading the model")
        model = open_model(subject.model)
    editor, exact = load_editor(config.editor, config.sampling, device=config.device, dtype=config.dtype)
    sampler = make_sampler(config.sampler, config.sampler_url)
    setting = Setting(
        model,
        task,
        config.seed,
        config.sampling,
        editor,
        exact,
        config.regenerations,
        config.points,
        sampler,
        config.ends,
    )
    imported = None
    if isinstance(task, TranscriptTask):
        imported = group_by_question(import_chains(model, task, task.transcripts, config.seed))
    else:
        check_room(model, task, questions, config.sampling, config.seed)
    assays, backend = leave_out(assays, model), choose_backend(model, config.backend)
    if backend != "packed" and config.backend == "auto":
        with open_display() as display:
            display.say(f"{subject.key}: this model cannot be packed; the backend {backend!r} runs it")
    batches = cut_questions(config, questions)
    if stem is not None:
        return PreparedSubject(subject, setting, backend, assays, batches, imported, stem, [], 0.0)
    with show_progress({subject.key: len(questions)}) as lines:
        start = perf_counter()
        first = collect_chains(config, setting, imported, assays, batches[0], lines[subject.key], recorded)
        seconds = perf_counter() - start
        chosen = choose_stem(model, task, first, backend=backend)
    return PreparedSubject(subject, setting, backend, assays, batches, imported, chosen, first, seconds)


def cut_questions(config: AuditConfig, questions: Sequence[Question]) -> list[list[Question]]:
    """The batches of a subject."""
    return [list(questions[i : i + config.batch]) for i in range(0, len(questions), config.batch)]


def find_stem(facts: Mapping[str, Any] | None) -> ChosenStem | None:
    """The answer stem of a subject whose facts are in the manifest of a run; None if it has none yet."""
    return ChosenStem(Stem(facts["stem"], facts["close"]), facts["coverage"]) if facts else None


def list_assay_names(config: AuditConfig) -> tuple[str, ...]:
    """The assays of an audit, by name."""
    return tuple(config.assays or battery.get_suite(config.suite))


def draw_questions(
    config: AuditConfig, subject: Subject, objects: GivenObjects = NO_OBJECTS
) -> tuple[Task, list[Question]]:
    """The task of a subject and the questions that it is asked. No model is needed.

    Raises:
        TaskError: the task or its file cannot be used, or it has fewer questions.
    """
    task = objects.tasks.get(subject.task) or (
        TranscriptTask(config.traces, skip_bad=config.skip_bad) if config.traces else find_task(subject.task)
    )
    questions = task.draw_questions(config.choose_n(subject, task.size), config.seed)
    _check_questions(task.name, questions)
    return task, questions


def _check_questions(name: str, questions: object) -> None:
    """Refuse what `draw_questions` of a user's task may give by mistake: none, or an answer that is no candidate."""
    fix = f"Correct `draw_questions` of the task {name}: it returns a list of fl.tasks.Question."
    check_elements(questions, Question, "what `draw_questions` returns", fix, TaskError)
    if not questions:
        raise TaskError(f"the task {name} gave no question", fix)
    for question in cast("Sequence[Question]", questions):
        same = (is_same_answer(known, question.answer, question.decimal_mark) for known in question.candidates)
        if question.answer and not any(same):
            problem = (
                f"the answer {question.answer!r} of the question {question.id!r} is none of its candidates,"
                f" {', '.join(question.candidates)}"
            )
            raise TaskError(problem, "Write the answer as one of the candidates; where nobody knows it, as ''.")


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
    recorded: pd.DataFrame | None = None,
) -> list[Chain]:
    """The chains of thought of some questions: those given, those recorded as drafts, or sampled ones."""
    if imported_chains is not None:
        return [chain for question in questions for chain in imported_chains[question.id]]
    line.set_activity("sampling chains")
    record = [] if recorded is None else [*read_chain_drafts(setting.model, recorded)]
    return sample_chains(
        setting.model,
        setting.task,
        questions,
        config.sampling,
        config.seed,
        line.add_tokens,
        samples=config.samples,
        with_counterfactuals=battery.needs_counterfactuals(assays.values()),
        sampler=RecordedSampler(record) if record else setting.sampler,
    )


@dataclass(frozen=True)
class AuditCost:
    """The cost of scoring a subject, estimated from one of its chains.

    Attributes:
        chains: the number of chains of thought.
        conditions: the number of edited versions of one chain.
        texts, tokens: the number of texts written for one chain, and of their tokens, without the chain itself.
        seconds: for all chains, sampling included, if each takes as long as the first did alone; batches take less.
        work: what the packed passes of the one chain took.
        counterfactuals: in words, how many questions have a counterfactual question, and where it comes from; empty if
            no assay reads any.
        chain_seconds: the part of `seconds` that writing the chains of thought takes.
        other_seconds: the part of what no gate reads. With these two, the seconds of the gates add up to `seconds`.
        gates: what each gate takes for one chain and of `seconds`, and which cannot be tested.
    """

    subject: Subject
    chains: int
    conditions: int
    texts: int
    tokens: int
    seconds: float
    work: Work
    counterfactuals: str
    chain_seconds: float
    other_seconds: float
    gates: tuple[GateCost, ...]

    def __str__(self) -> str:
        written = describe_texts(self.texts, self.tokens)
        total = (
            f"{self.subject.key}: {self.chains} chains of thought; for the first, {self.conditions} edited versions"
            f"{written}. All will take at most about {format_duration(self.seconds)}."
        )
        lines = [f"Counterfactual questions: {self.counterfactuals}."] if self.counterfactuals else []
        gates = [
            "Gates of the verdict: the time for all chains (together the whole), and what the first one takes:",
            *(f"  {gate}" for gate in self.gates),
            f"  {'no gate':<12} about {format_duration(self.other_seconds)}: edited versions that no gate reads",
            f"  {'chains':<12} about {format_duration(self.chain_seconds)}: the chains of thought themselves",
        ]
        return "\n".join([total, *lines, *gates])


def summarise_costs(costs: Sequence[AuditCost]) -> dict[str, Any]:
    """The costs of all subjects as plain data: sums over all chains, and the most memory of any pass.

    Every chain counts as the one that was scored. `forwards` is work in plain forwards of a chain's longest condition.
    """
    return {
        **{
            name: sum(getattr(cost.work, name) * cost.chains for cost in costs)
            for name in ("passes", "rows", "forwards", "plan_seconds")
        },
        "peak_bytes": max((cost.work.peak_bytes for cost in costs), default=0),
        "seconds": sum(cost.seconds for cost in costs),
        "subjects": [asdict(cost) for cost in costs],
    }


def estimate_audit(config: AuditConfig, objects: GivenObjects = NO_OBJECTS) -> list[AuditCost]:
    """The cost of a run for each subject; nothing is written.

    Raises:
        FaithlensError: a model or task cannot be used.
    """
    open_model = make_model_loader(config, objects)
    return [estimate_subject(config, try_subject(config, s, open_model, objects)) for s in config.subjects]


def try_subject(
    config: AuditConfig, subject: Subject, open_model: ModelLoader, objects: GivenObjects = NO_OBJECTS
) -> PreparedSubject:
    """A subject prepared with few chains; with a whole first batch where the few cannot be answered.

    Raises:
        FaithlensError: as `prepare_subject`.
    """
    few = replace(config, batch=min(config.batch, N_TRIED_QUESTIONS))
    try:
        return prepare_subject(few, subject, open_model, objects)
    except ModelError:
        if few.batch == config.batch:
            raise
        return prepare_subject(config, subject, open_model, objects)


def estimate_subject(config: AuditConfig, ready: PreparedSubject) -> AuditCost:
    """Score one chain and return only the cost."""
    first = next(chain for chain in ready.first_chains if isinstance(chain, Case))
    case = first.with_stem(ready.setting.model, ready.chosen_stem.stem)
    with open_display() as display:
        display.say(f"{ready.subject.key}: scoring one chain to estimate the time")
    written, works = Counter[str](), list[Work]()
    start = perf_counter()
    [case] = generate_texts(ready.setting, [case], ready.assays.values(), lambda tokens: written.update(tokens=tokens))
    texts_end = perf_counter()
    [result] = battery.run_battery(
        ready.setting, [case], tuple(ready.assays.values()), budget=config.budget, backend=ready.backend,
        keep_work=works.append,
    )  # fmt: skip
    end = perf_counter()
    chains = sum(map(len, ready.batches)) * len(ready.first_chains) // len(ready.batches[0])
    of_each = chains / len(ready.first_chains)
    seconds = RunSeconds(of_each * ready.sampling_seconds, chains * (texts_end - start), chains * (end - texts_end))
    gates, other_seconds = estimate_gates(ready.setting, ready.assays, result, seconds, ready.backend)
    return AuditCost(
        ready.subject, chains, len(result.records), len(case.generated_texts), written["tokens"], seconds.total,
        works[0], describe_counterfactuals(ready), seconds.chains, other_seconds, gates,
    )  # fmt: skip


def describe_counterfactuals(ready: PreparedSubject) -> str:
    """In words, how many questions have a counterfactual question and where it comes from; empty if no assay reads any.

    Questions without one leave the gates that need it open, so this is printed before the run.
    """
    if not battery.needs_counterfactuals(ready.assays.values()):
        return ""
    questions = [question for batch in ready.batches for question in batch]
    if ready.imported_chains is None:
        counterfactuals = [
            find_counterfactual(ready.setting.task, question, ready.setting.seed) for question in questions
        ]
    else:
        first = [ready.imported_chains[question.id][0] for question in questions]
        counterfactuals = [chain.counterfactual_question if isinstance(chain, Case) else None for chain in first]
    return describe_sources(counterfactuals)
