"""Chains of thought written to files of each format and read back: the same cases, and the same scores."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import faithlens as fl
from faithlens.assays.assay import Setting
from faithlens.assays.cases import Chain, choose_stem, sample_chains
from faithlens.assays.imported_chains import import_chains
from faithlens.interventions.case import Case, FailedChain
from faithlens.model.model import Model
from faithlens.tasks.question import Question
from faithlens.tasks.running_sum import RunningSum
from faithlens.tasks.transcripts import Transcript, TranscriptTask
from tests.tasks.inspect_logs import evaluate

N, SEED = 4, 3
TASK = RunningSum()
Chains = Sequence[tuple[Question, str]]


@pytest.fixture(scope="module")
def model() -> Model:
    return fl.load("O5", device="cpu")


def usable(chains: Sequence[Chain]) -> list[Case]:
    """The chains, all of which must be usable."""
    cases = [chain for chain in chains if isinstance(chain, Case)]
    assert len(cases) == len(chains)
    return cases


@pytest.fixture(scope="module")
def sampled_cases(model: Model) -> list[Case]:
    return usable(sample_chains(model, TASK, TASK.draw_questions(N, SEED), seed=SEED))


@pytest.fixture(scope="module")
def chains(sampled_cases: list[Case]) -> Chains:
    """Every question and counterfactual with what the model wrote for it."""
    pairs: list = [(d.question, d.trace) for d in sampled_cases]
    pairs += [(TASK.draw_counterfactual(d.question, SEED), d.counterfactual) for d in sampled_cases]
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
    cots = {question.text: cot for question, cot in chains}
    samples = [{"id": str(i), "input": q.text, "target": q.answer} for i, (q, _) in enumerate(chains)]
    return evaluate(folder, lambda text: (cots[text], "stop"), samples)


def scores(model: Model, cases: Sequence[Case]) -> list[list[tuple]]:
    stem = choose_stem(model, TASK, cases).stem
    results = fl.assays.run_battery(Setting(model, TASK, SEED), [case.with_stem(model, stem) for case in cases])
    return [[(s.measure, s.condition, s.step, s.value, s.reason) for s in result.scores] for result in results]


@pytest.mark.parametrize("write", [plain, lm_eval, inspect])
def test_an_imported_chain_scores_as_the_sampled_one(
    model: Model, sampled_cases: list[Case], chains: Chains, tmp_path: Path, write: Callable[[Path, Chains], Path]
) -> None:
    known = {question.text: question for question, _ in chains}
    result = [replace(t, question=known[t.question.text]) for t in TranscriptTask(write(tmp_path, chains)).transcripts]
    by_question = {case.question: case for case in usable(import_chains(model, TASK, result, SEED))}
    imported = [by_question[case.question] for case in sampled_cases]
    for mine, theirs in zip(imported, sampled_cases, strict=True):
        assert mine.question == theirs.question
        assert mine.trace == replace(theirs.trace, seed=0)
        assert theirs.counterfactual is not None
        assert mine.counterfactual == replace(theirs.counterfactual, seed=0)
    assert scores(model, imported) == scores(model, sampled_cases)


def test_a_file_is_a_task_of_its_own_and_its_counterfactuals_are_its_other_questions(
    model: Model, chains: Chains, tmp_path: Path
) -> None:
    task = TranscriptTask(plain(tmp_path, chains))
    imported = usable(import_chains(model, task, task.transcripts, SEED))
    assert [d.question.text for d in imported] == [question.text for question, _ in chains]
    written = {d.question.id: d.trace.texts[1:] for d in imported}
    for d in imported:
        donor = task.draw_counterfactual(d.question, SEED)
        assert donor is not None
        assert d.counterfactual is not None
        assert d.counterfactual.texts[1:] == written[donor.id]


def test_samples_are_paired_with_their_number_else_with_the_first(model: Model, chains: Chains) -> None:
    (question, cot), counterfactual = chains[0], TASK.draw_counterfactual(chains[0][0], SEED)
    mine = [Transcript(question, cot, sample, "stop") for sample in range(3)]
    others = [Transcript(counterfactual, f" Start at {sample + 5}.", sample, "stop") for sample in range(2)]
    imported = usable(import_chains(model, TASK, [*mine, *others], SEED))[:3]
    assert [d.counterfactual and d.counterfactual.cot for d in imported] == [
        " Start at 5.",
        " Start at 6.",
        " Start at 5.",
    ]
    assert [d.trace.seed for d in imported] == [0, 1, 2]


def test_without_a_transcript_of_the_counterfactual_there_is_none(model: Model, chains: Chains) -> None:
    [one] = usable(import_chains(model, TASK, [Transcript(*chains[0], 0, "stop")], SEED))
    assert one.counterfactual is None


def import_cot(model: Model, chains: Chains, cot: str, finish: Any = "stop") -> Chain:
    [one] = import_chains(model, TASK, [Transcript(chains[0][0], cot, 0, finish)], SEED)
    return one


def test_a_text_that_would_run_into_the_prompt_gets_its_space_back(model: Model, chains: Chains) -> None:
    assert import_cot(model, chains, chains[0][1].lstrip()) == import_cot(model, chains, chains[0][1])


def test_a_chain_that_was_cut_off_loses_its_last_step(model: Model, chains: Chains) -> None:
    one = import_cot(model, chains, " Start at 3. Add 4 to", "length")
    assert isinstance(one, Case)
    assert one.trace.texts[1:] == (" Start at 3.",)


@pytest.mark.parametrize(
    ("cot", "reason"),
    [
        ("", "the model wrote nothing"),
        (" Add 4 to get 7." * 200, "tokens of prompt and chain of thought"),
    ],
)
def test_a_chain_that_cannot_be_used_says_why(model: Model, chains: Chains, cot: str, reason: str) -> None:
    one = import_cot(model, chains, cot)
    assert isinstance(one, FailedChain)
    assert reason in one.reason


def test_a_counterfactual_that_cannot_be_used_is_left_out(model: Model, chains: Chains) -> None:
    question, counterfactual = chains[0][0], TASK.draw_counterfactual(chains[0][0], SEED)
    long = Transcript(counterfactual, " Add 4 to get 7." * 200, 0, "stop")
    mine, other = import_chains(model, TASK, [Transcript(*chains[0], 0, "stop"), long], SEED)
    assert (mine.question, other.question) == (question, counterfactual)
    assert isinstance(mine, Case)
    assert mine.counterfactual is None
    assert isinstance(other, FailedChain)
