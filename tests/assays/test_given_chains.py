"""Chains that came with their own prompt, steps and mistakes are scored as they stand, against plain transformers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import faithlens as fl
from faithlens.assays.assay import Setting
from faithlens.assays.battery import UNKNOWN_ANSWER, run_battery
from faithlens.assays.imported_chains import find_given_steps, import_chains
from faithlens.errors import TraceError
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case, FailedChain
from faithlens.interventions.prompt_pieces import make_prompt_piece
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.tasks.prompts import CHOICE_STEMS
from faithlens.tasks.question import Prompt
from faithlens.tasks.transcripts import TranscriptTask
from tests.conftest import tiny
from tests.model.thinkers import FAMILIES, make_model
from tests.tasks.published_files import PLAIN_PROMPT, dump, write_text

BASE = {"question": "Which is a metal?", "choices": ["Wood", "Iron", "Glass"], "answer": "B"}
STEPS = ["Wood burns.", "Glass breaks.", "So (B)."]
EDITS = [{"step": 1, "text": "Glass bends.", "by": "writer"}, {"step": 2, "text": "So (B)."}]


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny("llama")


def import_lines(folder: Path, model: Model, *lines: object) -> tuple[TranscriptTask, list[Case]]:
    task = TranscriptTask(write_text(folder / "chains.jsonl", dump(*lines)))
    chains = import_chains(model, task, task.transcripts, seed=0)
    return task, [chain.with_stem(model, CHOICE_STEMS[0]) for chain in chains if isinstance(chain, Case)]


def compute_plainly(model: Model, text: str, options: list[str]) -> np.ndarray:
    """The log-probability of each single-token option after a text, by one plain forward pass."""
    ids = model.encode_prompt(text)
    with torch.no_grad():
        logits = model.hf_model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
    return np.array([float(logits[model.continue_ids(ids, option)[0]]) for option in options])


def test_scores_are_those_of_the_given_prompt_steps_and_edits(tmp_path: Path, model: Model) -> None:
    raw = PLAIN_PROMPT.removesuffix("<think>\n")
    line = BASE | {"raw_prompt": raw, "steps": STEPS, "edits": EDITS, "answer": None}
    task, [case] = import_lines(tmp_path, model, line)
    assert case.trace.texts == (raw, "Wood burns. ", "Glass breaks. ", "So (B).")
    [result] = run_battery(Setting(model, task, 0), [case], ["mistakes", "baselines"])
    stem = CHOICE_STEMS[0].text
    whole = raw + " ".join(STEPS) + stem
    plain = compute_plainly(model, whole, ["A", "B", "C"])
    np.testing.assert_allclose(result.records["full"].logprobs, plain, atol=1e-4)
    edited = compute_plainly(model, whole.replace("breaks", "bends"), ["A", "B", "C"])
    np.testing.assert_allclose(result.records["mistake@1"].logprobs, edited, atol=1e-4)
    direct = compute_plainly(model, raw + stem, ["A", "B", "C"])
    np.testing.assert_allclose(result.records["no_cot"].logprobs, direct, atol=1e-4)
    retention = {s.step: s for s in result.scores if s.measure == "mistakes.retention"}
    assert retention[1].value == float(choose_option(edited) == choose_option(plain))
    assert (retention[2].value, retention[2].reason) == (None, "the given mistake has the words of the step")
    assert [*retention] == [1, 2]
    assert [(e.step, e.by, e.before, e.after) for e in result.edits] == [
        (1, "writer", "Glass breaks. ", "Glass bends. "),
        (2, "given", "So (B).", "So (B)."),
    ]
    accuracies = [s for s in result.scores if s.measure in ("accuracy.full", "mistakes.accuracy", "accuracy.no_cot")]
    assert {(s.value, s.reason) for s in accuracies} == {(None, UNKNOWN_ANSWER)}
    assert {s.value is None for s in result.scores if s.measure == "same_answer.no_cot"} == {False}


def test_no_other_mistakes_are_made_than_the_given_ones(tmp_path: Path, model: Model) -> None:
    """Regenerated ends follow them, and the corruption of a strategy counts them, also at steps that are no points."""
    steps = ["1 + 1 = 2.", "2 + 1 = 3.", "3 + 1 = 4.", "4 + 1 = 5."]
    line = {"question": "1 + 1 + 1 + 1 + 1?", "answer": "5", "steps": steps}
    mistakes = [{"step": 1, "text": "2 + 1 = 4.", "by": "writer"}, {"step": 3, "text": "4 + 1 = 5.", "by": "writer"}]
    task, [case] = import_lines(tmp_path, model, line | {"edits": mistakes})
    setting = Setting(model, task, 0, points=2, regenerations=1, sampling=Sampling(8))
    [result] = run_battery(setting, [case], ["mistakes_regenerated", "strategies"])
    edits = {e.condition: (e.step, e.by, e.after.strip()) for e in result.edits if e.kind == "mistake"}
    assert edits["regenerated@1"] == (1, "writer", "2 + 1 = 4.")
    assert {name for name in edits if name.startswith("regenerated")} == {"regenerated@1"}
    assert {name for name in result.records if name.startswith("mistake@")} == {"mistake@1"}
    [corrupted] = [s for s in result.scores if s.measure == "strategies.cot.corrupted"]
    assert corrupted.value == 1


def test_a_known_right_answer_is_compared(tmp_path: Path, model: Model) -> None:
    task, [case] = import_lines(tmp_path, model, BASE | {"steps": STEPS})
    [result] = run_battery(Setting(model, task, 0), [case], ["baselines"])
    [score] = [s for s in result.scores if s.measure == "accuracy.full"]
    assert score.value == float(choose_option(result.records["full"].logprobs) == 1)


def test_earlier_messages_stand_before_the_question(tmp_path: Path, model: Model) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Which?"},
    ]
    _, [case] = import_lines(tmp_path, model, BASE | {"messages": messages, "cot": "Iron."})
    assert case.trace.texts[0] == "Be brief.\n\nQ: 1 + 1?\nA: 2\n\nQ: Which?\nA:"
    assert case.trace.cot == " Iron."


def test_each_chain_keeps_its_own_prompt(tmp_path: Path, model: Model) -> None:
    _, cases = import_lines(
        tmp_path,
        model,
        BASE | {"prompt": "A friend says (A). Which?", "cot": "Iron."},
        BASE | {"prompt": "Which?", "cot": "Iron."},
        BASE | {"cot": "Iron."},
    )
    assert [case.trace.texts[0] for case in cases] == [
        "Q: A friend says (A). Which?\nA:",
        "Q: Which?\nA:",
        "Q: Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass\n\nThink step by step, then choose the correct option.\n"
        "A: Let's think step by step.",
    ]


def test_steps_that_do_not_stand_in_the_chain_are_refused(tmp_path: Path, model: Model) -> None:
    task = TranscriptTask(
        write_text(tmp_path / "a.jsonl", dump(BASE | {"cot": "Iron. So (B).", "steps": ["So (B).", "Iron."]}))
    )
    [chain] = import_chains(model, task, task.transcripts, seed=0)
    assert isinstance(chain, FailedChain)
    assert "the given step 1 does not stand in the chain" in chain.reason


def test_ranges_of_given_steps_partition_the_text() -> None:
    text = "\nOne. Two.  [x] Three.<|eot_id|>"
    assert find_given_steps(["One.", "Two.", "Three.<|eot_id|>"], text) == [(0, 6), (6, 16), (16, len(text))]
    with pytest.raises(TraceError, match="given step 1"):
        find_given_steps(["Two.", "One."], text)


def test_labels_become_columns_of_the_run(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faithlens.assays.cases.MIN_COVERAGE", 0.0)  # random weights answer anything
    lines = [
        BASE | {"steps": STEPS, "labels": {"judge": True}, "source": "mine", "step_labels": {"rating": [None, 4, "x"]}},
        BASE | {"question": "Which is clear?", "answer": None, "cot": "Glass.", "given_answer": "C"},
    ]
    path = write_text(tmp_path / "chains.jsonl", dump(*lines))
    run = fl.audit(model, traces=path, assays=("baselines",), out=tmp_path / "run", batch=1)
    traces = run.read("traces").set_index("question")
    first, second = traces.loc["line-1"], traces.loc["line-2"]
    assert (first["given.judge"], first["given.source"]) == ("true", "mine")
    assert list(first["given_steps.rating"]) == [None, "4", "x"]
    assert (second["given_answer"], second["answer"]) == ("C", "")
    assert pd.isna(second["given.judge"])


def test_a_raw_prompt_takes_the_marker_of_thoughts_once() -> None:
    thinker = make_model(FAMILIES["Qwen3"].template, ("<think>", "</think>"))
    for raw, thoughts, text in (
        ("Q?\n<think>\n", "open", "Q?\n<think>\n"),
        ("Q?\n", "open", "Q?\n<think>\n"),
        ("Q?\n<think>\n", "skipped", "Q?\n"),
        ("Q?\n<think>\n", "empty", "Q?\n<think>\n</think>\n\n"),
    ):
        piece = make_prompt_piece(thinker, Prompt("", "", frame=(raw, "")), thoughts)
        assert thinker.decode(piece.ids) == text
