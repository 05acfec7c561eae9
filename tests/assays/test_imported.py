"""Chains of thought written to files of each format and read back: the same cases, and the same scores."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import faithlens as fl
from faithlens.assays.assay import Setting
from faithlens.assays.cases import Draft, choose_stem, draft, draw_drafts, to_case
from faithlens.assays.imported import given_drafts
from faithlens.errors import TraceError
from faithlens.runtime.model import Lens
from faithlens.tasks.question import Question
from faithlens.tasks.running_sum import RunningSum
from faithlens.tasks.transcripts import Transcript, Transcripts, read_transcripts
from tests.tasks.test_transcripts import evaluate

N, SEED = 4, 3
TASK = RunningSum()
Chains = Sequence[tuple[Question, str]]


@pytest.fixture(scope="module")
def lens() -> Lens:
    return fl.load("O5", device="cpu")


@pytest.fixture(scope="module")
def sampled(lens: Lens) -> list[Draft]:
    return draw_drafts(lens, TASK, TASK.questions(N, SEED), seed=SEED)


@pytest.fixture(scope="module")
def chains(sampled: list[Draft]) -> Chains:
    """Every question and twin with what the model wrote for it."""
    pairs = [(d.question, d.trace) for d in sampled]
    pairs += [(TASK.counterfactual(d.question, SEED), d.twin) for d in sampled]
    return [(question, trace.cot) for question, trace in pairs if trace]


def plain(folder: Path, chains: Chains) -> Path:
    path = folder / "chains.jsonl"
    entries = [
        {"id": q.id, "question": q.text, "answer": q.answer, "candidates": list(q.candidates), "cot": cot}
        for q, cot in chains
    ]
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


def lm_eval(folder: Path, chains: Chains) -> Path:
    path = folder / "samples_sums_2026-01-01.jsonl"
    lines = [
        {"doc_id": i, "doc": {"question": q.text}, "target": q.answer, "resps": [[cot]], "filter": "none"}
        for i, (q, cot) in enumerate(chains)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def inspect(folder: Path, chains: Chains) -> Path:
    """One evaluation a chain, since samples of one run at the same time and may be answered in any order."""
    samples = [{"id": "one", "input": q.text, "target": q.answer} for q, _ in chains]
    [path] = [evaluate(folder, [(cot, "stop")], [s]) for (_, cot), s in zip(chains[:1], samples[:1], strict=True)]
    return path


def scores(lens: Lens, drafts: Sequence[Draft]) -> list[list[tuple]]:
    stem = choose_stem(lens, TASK, drafts).stem
    results = fl.run_battery(Setting(lens, TASK, SEED), [to_case(lens, TASK, d, stem) for d in drafts])
    return [[(s.measure, s.condition, s.step, s.value, s.reason) for s in result.scores] for result in results]


@pytest.mark.parametrize("write", [plain, lm_eval])
def test_an_imported_chain_scores_as_the_sampled_one(
    lens: Lens, sampled: list[Draft], chains: Chains, tmp_path: Path, write: Callable[[Path, Chains], Path]
) -> None:
    known = {question.text: question for question, _ in chains}
    found = [replace(t, question=known[t.question.text]) for t in read_transcripts(write(tmp_path, chains))]
    drafts = given_drafts(lens, TASK, found, SEED)[:N]
    for mine, theirs in zip(drafts, sampled, strict=True):
        assert mine.question == theirs.question
        assert mine.trace == replace(theirs.trace, seed=0)
        assert mine.twin == replace(theirs.twin, seed=0)
    assert scores(lens, drafts) == scores(lens, sampled)
