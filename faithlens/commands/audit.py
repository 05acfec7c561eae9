"""`audit`: questions in, one run folder out.

Everything that can be refused is tried before the folder is made: models and tasks load, a first batch of chains of
thought is sampled, an answer stem is found under which each model answers, and one question is scored to see what all
will take. Then batches are scored one by one.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter

import torch

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.battery import CaseResult
from faithlens.assays.cases import Chain, ChosenStem, check_room, choose_stem, sample_chains
from faithlens.assays.imported_chains import import_chains
from faithlens.commands.decide import judge_subjects
from faithlens.commands.progress import ProgressLine, show_progress
from faithlens.config import DEFAULT_N, AuditConfig, Subject
from faithlens.errors import TraceError
from faithlens.interventions.case import Case
from faithlens.interventions.editor import load_editor
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import list_measures
from faithlens.measures.score import Score
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.report.page import PAGE_NAME, write_page
from faithlens.stats.estimate import compute_estimates
from faithlens.store import Run, make_manifest
from faithlens.tasks.question import Question
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
    """What scoring a subject will take, from scoring one of its chains.

    Attributes:
        chains: how many there are.
        conditions: edited versions of one.
        texts, tokens: what is written for one, beside the chain itself.
        seconds: for all of them, if all take as long as the first did alone; batches take less.
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


def audit(
    config: AuditConfig, out: Path, *, resume: bool = False, notify: Callable[[str], None] = lambda words: None
) -> Run:
    """Run the assays on every subject and write the run folder, verdict and report.

    `notify` is called with what the run will take, before the folder is made.

    Raises:
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    Run.refuse_used(out, resume)
    open_model = make_model_loader(config)
    ready = [prepare_subject(config, s, open_model) for s in config.subjects]
    for r in ready:
        notify(str(estimate_subject(config, r)))
    device = str(ready[0].setting.model.device)
    found = {r.subject.key: describe_subject(r) for r in ready}
    made = make_manifest(config.to_dict(), config.seed, device) | {
        "threads": torch.get_num_threads(),
        "subjects": found,
    }
    run = Run.create(out, made, resume=resume)
    with show_progress({r.subject.key: sum(map(len, r.batches)) for r in ready}) as lines:
        for r in ready:
            score_subject(config, r, run, lines[r.subject.key])
    return write_results(config, ready, run)


def run_or_read_audit(config: AuditConfig, out: Path) -> Run:
    """The finished audit in `out`: read where it is there, gone on with where it was begun.

    Raises:
        FaithlensError: as `audit`.
    """
    if (out / PAGE_NAME).is_file():  # what an audit writes last
        return Run.open(out)
    return audit(config, out, resume=(out / "manifest.json").is_file())


def estimate_audit(config: AuditConfig) -> list[AuditCost]:
    """What a run would take; nothing is written.

    Raises:
        FaithlensError: a model or task cannot be used.
    """
    open_model = make_model_loader(config)
    return [estimate_subject(config, prepare_subject(config, s, open_model)) for s in config.subjects]


def describe_subject(ready: PreparedSubject) -> dict:
    """What preparing a subject found out, for the manifest: where the weights are from, and the answer stem."""
    return {
        "source": ready.setting.model.source,
        "stem": ready.chosen_stem.stem.text,
        "close": ready.chosen_stem.stem.close,
        "coverage": ready.chosen_stem.coverage,
        "assays": list(ready.assays),
    }


def make_model_loader(config: AuditConfig) -> ModelLoader:
    """Loads models as the run asks for them; one that is put to several tasks in a row is loaded once."""
    options = {"device": config.device, "dtype": config.dtype, "trust_remote_code": config.trust_remote_code}
    return lru_cache(maxsize=1)(partial(load, **options))


def prepare_subject(config: AuditConfig, subject: Subject, open_model: ModelLoader) -> PreparedSubject:
    """Load a subject, sample its first batch and find the stem under which it answers."""
    assays = battery.select_assays(config.assays or battery.get_suite(config.suite))
    task = TranscriptTask(config.traces) if config.traces else find_task(subject.task)
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
    """Score one chain, and keep nothing but what it took."""
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
    """Every edit of a step's words: what it was, whether it is one, and what came of it."""
    for edit in result.edits:
        yield {"question": result.case.question.id, "sample": result.case.sample, **asdict(edit)}


def make_trace_row(result: CaseResult) -> dict:
    """What is kept of a trace, and the answer it led to."""
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
    """From scores to estimates, verdicts and the report; needs no model but for the words of what is planted."""
    scores = run.read("scores")
    table = compute_estimates(scores, config.seed)
    run.finish({"estimates": table})
    who = [(r.subject.model, r.subject.task, read_planted_truth(r)) for r in ready]
    run.write_json("verdict.json", {"subjects": list(judge_subjects(scores, table, who, config.criteria))})
    write_page(run)
    return run


def read_planted_truth(ready: PreparedSubject) -> str | None:
    """What is planted in an organism, in words; None for other models."""
    told = getattr(ready.setting.model.hf_model.config, "faithlens", None) or {}
    return told.get("truth")
