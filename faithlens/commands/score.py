"""The batches of a subject: sampled, scored, and each written into the run folder as soon as it is finished."""

import json
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict

from faithlens.assays import battery
from faithlens.assays.battery import CaseResult
from faithlens.assays.cases import Chain
from faithlens.commands.prepare import PreparedSubject, collect_chains
from faithlens.commands.progress import ProgressLine
from faithlens.config import AuditConfig
from faithlens.errors import TraceError
from faithlens.execution.proof import prove_records
from faithlens.interventions.case import Case
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import list_measures
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.store import GIVEN, GIVEN_STEPS, Run
from faithlens.tasks.transcripts import Transcript

BATCH_TABLES = ("scores", "answers", "edits", "drafts", "traces")
"""The tables of which every batch has a part."""


def score_subject(config: AuditConfig, ready: PreparedSubject, run: Run, line: ProgressLine) -> None:
    """Sample and score all batches that are not done yet; each is kept as soon as it is scored.

    The first of them and a random later one are compared with plain transformers (`execution.proof`).
    """
    finished = set.intersection(*(run.finished_keys(table) for table in BATCH_TABLES))
    keys = [f"{ready.subject.key} {i}" for i in range(len(ready.batches))]
    first, later = (left := [key for key in keys if key not in finished])[:1], left[1:]
    proved = {*first, *random.Random(config.seed).sample(later, min(1, len(later)))}
    for i, (key, questions) in enumerate(zip(keys, ready.batches, strict=True)):
        if key not in finished:
            some = ready.first_chains
            if i > 0:
                some = collect_chains(config, ready.setting, ready.imported_chains, ready.assays, questions, line)
            line.set_activity("writing and scoring")
            score_batch(config, ready, key, some, run, line.add_tokens, is_proved=key in proved)
        line.add_questions(len(questions))
    line.set_activity("done")


def score_batch(
    config: AuditConfig,
    ready: PreparedSubject,
    key: str,
    chains: Sequence[Chain],
    run: Run,
    progress: Callable[[int], None] = lambda tokens: None,
    *,
    is_proved: bool = False,
) -> None:
    """Score one batch and write its part of each of `BATCH_TABLES`; the batch is finished when it has all of them.

    Raises:
        ModelError: the batch is to be proved, and its numbers are not those of plain transformers; nothing is written.
    """
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
        keep_work=lambda work: run.add_to_manifest("work", {key: asdict(work)}),
    )
    if is_proved:
        prove_batch(config, ready, key, results, run)
    who = asdict(ready.subject)
    scored += [(r.case.question.id, r.case.sample, r.scores) for r in results]
    rows = [{**who, "question": q, "sample": k, **asdict(s)} for q, k, scores in scored for s in scores]
    run.write_part("scores", key, rows)
    run.write_part("answers", key, [{**who, **row} for r in results for row in make_answer_rows(r)])
    run.write_part("edits", key, [{**who, **row} for r in results for row in make_edit_rows(r)])
    run.write_part("drafts", key, [{**who, **row} for row in make_draft_rows(setting.model, chains, results)])
    run.write_part("traces", key, [{**who, **make_trace_row(r)} for r in results])


def prove_batch(config: AuditConfig, ready: PreparedSubject, key: str, results: Sequence[CaseResult], run: Run) -> None:
    """Compare conditions of one random case with plain transformers, and write the comparison into the manifest.

    Raises:
        ModelError: the run's numbers are not those of plain transformers.
    """
    if not results:
        return
    result = random.Random(f"{config.seed} {key}").choice(results)
    conditions = battery.collect_conditions(ready.setting, result.case, ready.assays)
    records = [result.records[condition.name] for condition in conditions]
    proof = prove_records(ready.setting.model, conditions, records, config.seed)
    run.add_to_manifest("proofs", {key: {"question": result.case.question.id, **asdict(proof)}})


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


def make_draft_rows(model: Model, chains: Sequence[Chain], results: Sequence[CaseResult]) -> Iterator[dict]:
    """A row for every text that the model wrote: chains, also those that cannot be used, and texts for edits."""
    drafts = [
        (chain.question.id, chain.sample, name, draft) for chain in chains for name, draft in chain.drafts.items()
    ]
    drafts += [
        (r.case.question.id, r.case.sample, name, text.draft)
        for r in results
        for name, text in r.case.generated_texts.items()
        if text.draft
    ]
    for question, sample, name, draft in drafts:
        text = model.decode((*draft.prompt, *draft.ids))[len(model.decode(draft.prompt)) :]
        yield {
            "question": question,
            "sample": sample,
            "name": name,
            "prompt_ids": list(draft.prompt),
            "ids": list(draft.ids),
            "text": text,
            "finish": draft.finish,
            "seed": draft.seed,
            "logprobs": draft.logprobs and list(draft.logprobs),
            "unusable_reason": draft.unusable_reason,
        }


def make_trace_row(result: CaseResult) -> dict:
    """A row of the table of traces: the chain of thought, and the answer after it."""
    case, trace, counterfactual = result.case, result.case.trace, result.case.counterfactual_question
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
        "counterfactual": counterfactual.question.text if counterfactual else None,
        "counterfactual_source": counterfactual.source if counterfactual else None,
        **(_list_given(case.transcript) if case.transcript else {}),
    }


def _list_given(transcript: Transcript) -> dict[str, str | list[str | None] | None]:
    """What the file of a chain says of it, by column."""
    return {
        "given_answer": transcript.given_answer or None,
        **{f"{GIVEN}{name}": _write_label(value) for name, value in transcript.labels.items()},
        **{f"{GIVEN_STEPS}{name}": [*map(_write_label, each)] for name, each in transcript.step_labels.items()},
    }


def _write_label(value: object) -> str | None:
    """A label as text: a text as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
