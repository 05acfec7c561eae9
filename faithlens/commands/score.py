"""A unit of an audit: a batch of questions that are sampled, scored, and written into the run folder together.

Where memory runs out, the batch is scored in two halves, and so on; a question that does not fit alone has no scores,
and the reason says so. The manifest says which units were cut (`retried`).
"""

import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

import pandas as pd

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.battery import CaseResult
from faithlens.assays.cases import Chain
from faithlens.assays.prompt_arms import (
    PairingAssay,
    name_answer,
    read_answer,
    read_chain,
    read_plain_answer,
    read_plain_chain,
)
from faithlens.commands.prepare import PreparedSubject, collect_chains
from faithlens.commands.progress import ProgressLine
from faithlens.commands.recorded import decode_draft
from faithlens.config import AuditConfig
from faithlens.errors import FaithlensError, ModelError, TraceError
from faithlens.execution.memory import free_memory, is_short_of_memory
from faithlens.execution.proof import prove_records
from faithlens.execution.work import Work, add_works
from faithlens.interventions.case import Case, FailedChain
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import list_measures
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.store import GIVEN, GIVEN_STEPS, Run
from faithlens.tasks.question import Question
from faithlens.tasks.transcripts import Transcript


def score_unit(
    config: AuditConfig,
    ready: PreparedSubject,
    run: Run,
    key: str,
    number: int,
    line: ProgressLine,
    *,
    is_proved: bool,
    digest: str,
    recorded: pd.DataFrame | None = None,
) -> None:
    """Sample and score batch `number` of a subject, and keep it under `key`.

    `recorded` are the drafts of another run for this batch, whose chains of thought need not be drawn again.
    """
    some = ready.first_chains if number == 0 else []
    some = some or collect_in_memory(config, ready, ready.batches[number], line, recorded)
    line.set_activity("writing and scoring")
    score_batch(config, ready, key, some, run, line.add_tokens, is_proved=is_proved, digest=digest)


def collect_in_memory(
    config: AuditConfig,
    ready: PreparedSubject,
    questions: Sequence[Question],
    line: ProgressLine,
    recorded: pd.DataFrame | None = None,
) -> list[Chain]:
    """The chains of thought of some questions, in halves where memory runs out; one that does not fit alone is lost."""
    try:
        return collect_chains(config, ready.setting, ready.imported_chains, ready.assays, questions, line, recorded)
    except ModelError as error:
        if not is_short_of_memory(error):
            raise
        reason = f"memory ran out: {error.problem}"
    free_memory(ready.setting.model)
    if len(questions) == 1:
        return [FailedChain(questions[0], sample, reason) for sample in range(config.samples)]
    half = len(questions) // 2
    return [
        chain
        for part in (questions[:half], questions[half:])
        for chain in collect_in_memory(config, ready, part, line, recorded)
    ]


def score_batch(
    config: AuditConfig,
    ready: PreparedSubject,
    key: str,
    chains: Sequence[Chain],
    run: Run,
    progress: Callable[[int], None] = lambda tokens: None,
    *,
    is_proved: bool = False,
    digest: str = "",
) -> None:
    """Score one batch and keep all its parts, or none.

    `is_proved` says whether conditions of it are compared with plain transformers (`execution.proof`).

    Raises:
        ModelError: the batch is to be proved, and its numbers are not those of plain transformers.
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
    results, works, retries = run_in_memory(config, ready, cases, progress)
    scored += [
        (case.question.id, case.sample, make_missing_scores(ready.assays, retry.reason))
        for retry in retries
        if len(retry.cases) == 1
        for case in retry.cases
    ]
    facts: dict[str, dict[str, object]] = {"work": {key: asdict(add_works(works))}}
    if is_proved and results:
        facts["proofs"] = {key: prove_batch(config, ready, key, results)}
    if retries:
        facts["retried"] = {key: [retry.describe() for retry in retries]}
    who = asdict(ready.subject)
    scored += [(r.case.question.id, r.case.sample, r.scores) for r in results]
    rows = [{**who, "question": q, "sample": k, **asdict(s)} for q, k, scores in scored for s in scores]
    tables = {
        "scores": rows,
        "answers": [{**who, **row} for r in results for row in make_answer_rows(r)],
        "edits": [{**who, **row} for r in results for row in make_edit_rows(r)],
        "hinted_chains": [{**who, **row} for r in results for row in make_hinted_rows(setting, ready.assays, r)],
        "drafts": [{**who, **row} for row in make_draft_rows(setting.model, chains, results)],
        "traces": [{**who, **make_trace_row(r)} for r in results],
    }
    run.write_unit(key, tables, facts, digest=digest)


@dataclass(frozen=True)
class Retry:
    """Chains for which memory ran out together. They were tried again in halves; a chain alone was given up."""

    cases: Sequence[Case]
    reason: str

    def describe(self) -> dict[str, object]:
        """For the manifest."""
        return {"questions": sorted({case.question.id for case in self.cases}), "reason": self.reason}


def run_in_memory(
    config: AuditConfig, ready: PreparedSubject, cases: Sequence[Case], progress: Callable[[int], None]
) -> tuple[list[CaseResult], list[Work], list[Retry]]:
    """The results of the cases, in halves where memory runs out; the work of the passes; and the cases that failed."""
    works = list[Work]()
    try:
        results = battery.run_battery(
            ready.setting,
            cases,
            tuple(ready.assays.values()),
            budget=config.budget,
            backend=ready.backend,
            notify=progress,
            keep_work=works.append,
        )
        return results, works, []
    except (FaithlensError, MemoryError, RuntimeError) as error:
        if not is_short_of_memory(error):
            raise
        retry = Retry(cases, f"memory ran out: {error.problem if isinstance(error, FaithlensError) else error}")
    free_memory(ready.setting.model)  # after the except block, which keeps the tensors of the pass alive
    if len(cases) == 1:
        return [], [], [retry]
    half = len(cases) // 2
    first, second = (run_in_memory(config, ready, part, progress) for part in (cases[:half], cases[half:]))
    return first[0] + second[0], first[1] + second[1], [retry, *first[2], *second[2]]


def prove_batch(
    config: AuditConfig, ready: PreparedSubject, key: str, results: Sequence[CaseResult]
) -> dict[str, object]:
    """Compare conditions of one random case with plain transformers; the comparison, for the manifest.

    Raises:
        ModelError: the run's numbers are not those of plain transformers.
    """
    result = random.Random(f"{config.seed} {key}").choice(results)
    conditions = battery.collect_conditions(ready.setting, result.case, ready.assays)
    records = [result.records[condition.name] for condition in conditions]
    proof = prove_records(ready.setting.model, conditions, records, config.seed)
    return {"question": result.case.question.id, **asdict(proof)}


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


def make_hinted_rows(setting: Setting, assays: Mapping[str, Assay], result: CaseResult) -> Iterator[dict]:
    """A row for every prompt with a hint or a bias that was answered after a chain, and whose counterpart was too."""
    case = result.case
    at = {"question": case.question.id, "sample": case.sample}
    pairs = [
        pair
        for assay in assays.values()
        if isinstance(assay, PairingAssay)
        for pair in assay.list_hint_pairs(setting, case)
    ]
    for pair in pairs:
        with suppress(FaithlensError):  # an arm without a chain or an answer has no scores either, which say why
            hinted = read_answer(setting, case, pair.hinted, result.records)
            plain = read_plain_answer(setting, case, pair, result.records)
            yield {
                **at,
                "condition": pair.hinted.name,
                "kind": pair.kind,
                "label": pair.label,
                # a judge that knows these special tokens would read them as the turns of its own conversation
                "prompt": setting.model.decode(pair.hinted.prompt.ids, with_special_tokens=False),
                "cot": read_chain(setting, case, pair.hinted).cot,
                "answer": name_answer(setting, case, pair.hinted, hinted),
                "plain_cot": read_plain_chain(setting, case, pair).cot,
                "plain_answer": name_answer(setting, case, pair.plain, plain) if pair.plain else case.candidates[plain],
            }


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
        yield {
            "question": question,
            "sample": sample,
            "name": name,
            "prompt_ids": list(draft.prompt),
            "ids": list(draft.ids),
            "text": decode_draft(model, draft),
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
