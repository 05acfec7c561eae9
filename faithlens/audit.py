"""`audit`: questions in, one run folder out.

Everything that can be refused is tried before the folder is made: models and tasks load, a first batch of chains of
thought is sampled, and an answer stem is found under which each model answers. Then batches are scored one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from faithlens.assays import battery
from faithlens.assays.assay import Setting
from faithlens.assays.battery import Result
from faithlens.assays.cases import Chosen, Draft, check_room, choose_stem, draw_drafts, to_case
from faithlens.config import DEFAULT_N, RunConfig, Subject
from faithlens.errors import TraceError
from faithlens.interventions.case import Case
from faithlens.measures.answers import choice
from faithlens.measures.score import Score
from faithlens.report.page import page
from faithlens.runtime.fetch import progress
from faithlens.runtime.load import load
from faithlens.stats import grid
from faithlens.stats.estimate import estimates
from faithlens.stats.verdict import decide, subject
from faithlens.store import Run, manifest
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.registry import task as find_task

# what a question that cannot be scored is missing from
HEADLINE = ("accuracy.full", "early_answering.aoc_trapezoid_0_1", "mediation.content_share")


@dataclass(frozen=True)
class Ready:
    """A subject whose model answers: its batches of questions, the stem, and the first batch's drafts."""

    subject: Subject
    setting: Setting
    batches: list[list[Question]]
    chosen: Chosen
    first: list[Draft]


def audit(config: RunConfig, out: Path, *, resume: bool = False) -> Run:
    """Run every assay on every subject and write the run folder, verdict and report.

    Raises:
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    Run.refuse_used(out, resume)
    ready = [prepare(config, s) for s in config.subjects]
    device = str(ready[0].setting.lens.device)
    found = {r.subject.key: found_out(r) for r in ready}
    made = manifest(config.to_dict(), config.seed, device) | {"threads": torch.get_num_threads(), "subjects": found}
    run = Run.create(out, made, resume=resume)
    for r in ready:
        score_subject(config, r, run)
    return conclude(config, ready, run)


def found_out(ready: Ready) -> dict:
    """What preparing a subject found out, for the manifest: where the weights are from, and the answer stem."""
    return {
        "source": ready.setting.lens.source,
        "stem": ready.chosen.stem.text,
        "close": ready.chosen.stem.close,
        "coverage": ready.chosen.coverage,
    }


def prepare(config: RunConfig, who: Subject) -> Ready:
    """Load a subject, sample its first batch and find the stem under which it answers."""
    task = find_task(who.task)
    n = config.n or min(DEFAULT_N, task.size or DEFAULT_N)
    questions = task.questions(n, config.seed)
    lens = load(who.model, device=config.device, dtype=config.dtype, trust_remote_code=config.trust_remote_code)
    check_room(lens, task, questions, config.sampling, config.seed)
    batches = [questions[i : i + config.batch] for i in range(0, len(questions), config.batch)]
    with progress(f"{who.key}: sampling") as advance:
        first = draw_drafts(lens, task, batches[0], config.sampling, config.seed, advance)
    chosen = choose_stem(lens, task, first, backend=config.backend)
    return Ready(who, Setting(lens, task, config.seed), batches, chosen, first)


def score_subject(config: RunConfig, ready: Ready, run: Run) -> None:
    """Sample and score all batches that are not done yet; each is kept as soon as it is scored."""
    setting = ready.setting
    total = sum(map(len, ready.batches))
    with progress(f"{ready.subject.key}: scoring", total) as advance:
        for i, questions in enumerate(ready.batches):
            key = f"{ready.subject.key} {i}"
            if key not in run.done("traces"):
                drafts = ready.first
                if i > 0:
                    drafts = draw_drafts(setting.lens, setting.task, questions, config.sampling, config.seed)
                keep_batch(config, ready, key, drafts, run)
            advance(len(questions))


def keep_batch(config: RunConfig, ready: Ready, key: str, drafts: Sequence[Draft], run: Run) -> None:
    """Score one batch and write it: traces last, so that a part of traces means a whole batch."""
    setting, stem = ready.setting, ready.chosen.stem
    cases: list[Case] = []
    scored: list[tuple[str, list[Score]]] = []
    for draft in drafts:
        try:
            cases.append(to_case(setting.lens, setting.task, draft, stem))
        except TraceError as error:
            scored.append((draft.question.id, lost(error.found)))
    results = battery.run_battery(setting, cases, budget=config.budget, backend=config.backend)
    who = asdict(ready.subject)
    scored += [(r.case.question.id, r.scores) for r in results]
    run.append("scores", key, [{**who, "question": q, **asdict(s)} for q, scores in scored for s in scores])
    run.append("answers", key, [{**who, **row} for r in results for row in answer_rows(r)])
    run.append("traces", key, [{**who, **trace_row(r, stem)} for r in results])


def lost(reason: str) -> list[Score]:
    """The scores of a question whose chain of thought could not be used: none, and why."""
    return [Score(measure, None, "fraction", reason=reason) for measure in HEADLINE]


def answer_rows(result: Result) -> Iterator[dict]:
    """The log-probability of every candidate under every condition: what behavioural scores are made from."""
    for name, record in result.records.items():
        yield {"question": result.case.question.id, "condition": name, "logprobs": record.logprobs.tolist()}


def trace_row(result: Result, stem: Stem) -> dict:
    """What is kept of a trace, and the answer it led to."""
    case, trace = result.case, result.case.trace
    return {
        "question": case.question.id,
        "prompt": trace.texts[0],
        "cot": trace.cot,
        "steps": list(trace.texts[1:]),
        "answer": case.question.answer,
        "predicted": case.candidates[choice(result.records["full"].logprobs)],
        "candidates": list(case.candidates),
        "stem": stem.text,
        "finish": trace.finish,
        "n_tokens": len(trace),
        "seed": trace.seed,
    }


def conclude(config: RunConfig, ready: Sequence[Ready], run: Run) -> Run:
    """From scores to estimates, verdicts and the report; needs no model but for the words of what is planted."""
    scores = run.read("scores")
    table = estimates(scores, config.seed)
    run.finish({"estimates": table})
    run.write_json("verdict.json", {"subjects": list(verdicts(config, ready, scores, table))})
    page(run)
    return run


def verdicts(config: RunConfig, ready: Sequence[Ready], scores: pd.DataFrame, table: pd.DataFrame) -> Iterator[dict]:
    """One entry of verdict.json a subject."""
    cells = grid.cells(scores)
    for r in ready:
        name, task = r.subject.model, r.subject.task
        mine = table[(table["model"] == name) & (table["task"] == task)]
        counts = grid.count(cells[(cells["model"] == name) & (cells["task"] == task)])
        planted = getattr(r.setting.lens.model.config, "faithlens", None) or {}
        verdict = decide(name, mine, counts, config.min_faithfulness, config.min_accuracy)
        yield subject(name, task, verdict, mine, counts, planted.get("truth"))
