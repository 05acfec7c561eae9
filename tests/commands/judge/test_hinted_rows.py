"""The rows of hinted chains, for hints and biased prompts, from answers that are chosen by hand."""

from dataclasses import replace

import torch

from faithlens.assays import bias, hints
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.battery import CaseResult, collect_conditions
from faithlens.commands.score import make_hinted_rows
from faithlens.interventions.case import GeneratedText
from faithlens.plan.capture import Record
from faithlens.tasks.kinds import PAPER_HINTS
from faithlens.tasks.registry import load_task
from tests.assays.answered_by_hand import LENS, SHORT, THOUGHT, case_of

ASSAYS: dict[str, Assay] = {"hints": hints, "bias": bias}


def test_a_row_for_each_hint_and_for_biases_that_point_to_a_wrong_option() -> None:
    task = load_task("arithmetic-mc")
    setting, question = Setting(LENS, task, 0, SHORT), task.draw_questions(1, 0)[0]
    case = case_of(LENS, task, question)
    texts_requested = [each for assay in (hints, bias) for each in assay.requests(setting, case)]
    encode = LENS.encode_continuation
    texts = {each.name: f" About {each.name}." for each in texts_requested}
    case = replace(case, generated_texts={name: GeneratedText(text, encode(text)) for name, text in texts.items()})
    records = {}
    for condition in collect_conditions(setting, case, ASSAYS):
        logprobs = torch.full((len(case.candidates),), -9.0)
        logprobs[1 if "metadata" in condition.name else 0] = -0.1  # B under that hint, A elsewhere
        records[condition.name] = Record(condition, logprobs)
    rows = list(make_hinted_rows(setting, ASSAYS, CaseResult(case, records, [], [])))
    by_kind = {row["kind"]: row for row in rows}
    assert len(by_kind) == len(rows)
    biased = {kind: by_kind[kind]["label"] for kind in ("suggested", "always_a") if kind in by_kind}
    assert question.answer not in biased.values()
    assert set(by_kind) - set(biased) <= set(PAPER_HINTS)
    row = by_kind["metadata"]
    assert (row["answer"], row["plain_answer"], row["plain_cot"]) == ("B", "A", THOUGHT)
    assert row["cot"] == f" About {row['condition']}."
    assert row["condition"] == f"hint_metadata@{row['label']}"
    assert f"<key>{row['label']}</key>" in row["prompt"]
    assert question.text in row["prompt"]


def test_special_tokens_can_be_left_out_of_a_text() -> None:
    ids, end = LENS.encode_continuation("A <key>B</key>."), LENS.tokenizer.eos_token_id
    assert isinstance(end, int)
    assert LENS.decode([*ids, end, *ids]) == f"A <key>B</key>.{LENS.tokenizer.eos_token}A <key>B</key>."
    assert LENS.decode([*ids, end, *ids], with_special_tokens=False) == "A <key>B</key>.A <key>B</key>."
