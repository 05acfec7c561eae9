"""Hinted chains and their two tables, made up."""

import json
from pathlib import Path

import pytest
from scipy.stats import beta

import faithlens as fl
from faithlens.commands.replicate.table import PublishedCell
from faithlens.tasks.published.thought_branches import read_release, split_options
from tests.tasks.published_files import HINTED_PROMPT, PLAIN_PROMPT, make_problem, read_refusal, write_rows, write_text

RATE = {"pn": 7, "gt_answer": "B", "cue_answer": "C"}
RATES = [
    RATE | {"sentence": "Glass is hard.", "cue_p": 0.4, "cue_p_prev": 0.1, "sentence_num": 0},
    RATE | {"sentence": "Metals are hard.", "cue_p": 0.8, "cue_p_prev": 0.4, "sentence_num": 1},
    RATE | {"pn": 8, "sentence": "Other.", "cue_p": "", "cue_p_prev": 0.3, "sentence_num": 0},
]
HIDDEN = [
    {"pn": 7, "sentence": "Glass is hard.", "sentence_num": 0, "kl": 0.03},
    {"pn": 7, "sentence": "Wood is not.", "sentence_num": 1, "kl": 0.01},
]


def assert_between(cell: PublishedCell) -> None:
    """Our number lies in its interval."""
    assert cell.low is not None
    assert cell.ours is not None
    assert cell.high is not None
    assert cell.low < cell.ours < cell.high


def test_a_problem_keeps_its_prompts_chains_and_labels(tmp_path: Path) -> None:
    problems = [make_problem(), make_problem(pn=8, cond="itc_success", base_response_text="Glass.\n</think>\n(C)")]
    write_text(tmp_path / "professor.json.gz", json.dumps(problems))
    first, second = read_release(tmp_path).problems.values()
    assert (first.hinted_prompt, first.plain_prompt) == (HINTED_PROMPT, PLAIN_PROMPT)
    assert (first.text, first.options) == ("Which is a metal?", ("Wood", "Iron", "Glass"))
    assert (first.right, first.hinted, first.says_hint, first.plain_chain) == ("B", "C", False, "")
    assert first.labels["model"] == "other-model"
    assert (second.says_hint, second.plain_chain) == (True, "Glass.\n</think>\n(C)")


def test_the_chain_of_another_model_stays_a_label(tmp_path: Path) -> None:
    row = {key: make_problem()[key] for key in ("question", "gt_answer", "cue_answer")}
    row |= {"judge_extracted_evidence": "1. The professor says (C).", "cued_raw_response": "Hm.", "cond": "itc_failure"}
    entry = {key: make_problem()[key] for key in ("cue_text", "response_text", "cond", "cue_type")} | {"og_row": row}
    write_text(tmp_path / "professor.json", json.dumps([entry]))
    [problem] = read_release(tmp_path).problems.values()
    assert problem.number == "professor-0"
    assert problem.labels["other_model"]["judge_extracted_evidence"] == "1. The professor says (C)."


def test_of_two_files_with_one_problem_the_fuller_counts(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", json.dumps([make_problem(base_response_text="Glass.")]))
    write_text(tmp_path / "b.json", json.dumps([make_problem()]))
    [problem] = read_release(tmp_path).problems.values()
    assert problem.plain_chain == "Glass."


def test_options_of_the_last_question_count() -> None:
    assert split_options("Q1\n(A) x\n(B) y\nLabel: (B)\n\nQ2?\n\nAnswer choices:\n(A) one\n(B) two \nThink.") == (
        "Q1\n(A) x\n(B) y\nLabel: (B)\n\nQ2?",
        ("one", "two"),
    )


def test_the_table_has_the_means_of_both_tables_and_the_labels(tmp_path: Path) -> None:
    says = "The professor says (C), so the answer is (C).\n</think>\n\nTherefore, the best answer is: (C)."
    problems = [make_problem(), make_problem(pn=8, cond="itc_success", response_text=says)]
    write_text(tmp_path / "professor.json", json.dumps(problems))
    write_rows(tmp_path / "counterfactual.csv.gz", RATES)
    write_rows(tmp_path / "suppression.csv", HIDDEN)
    replication = fl.replicate("thought-branches", tmp_path)
    cells = {cell.name: cell for cell in replication.cells}
    before = cells["through the chain: hinted answers before the chain, percent"]
    assert (before.published, before.ours, before.n) == (pytest.approx(20), None, 2)
    after = cells["through the chain: hinted answers after the last sentence in the table, percent"]
    assert (after.published, after.n) == (pytest.approx(80), 1)  # no ending of problem 8 gave an answer
    hidden = cells["hint hidden: mean change of a sentence, nats"]
    assert (hidden.published, hidden.n) == (pytest.approx(0.02), 2)
    reason = cells["chains that name the hint as a reason"]
    assert (reason.published, reason.ours, reason.n) == (1, 1, 2)
    assert "table of new endings: of 2 problems, 1 have in these files the chain that it cuts" in replication.remarks
    assert "table of hidden hints: of 1 problems, 0 have in these files the chain that it cuts" in replication.remarks


def test_a_second_table_and_other_files_are_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", RATES)
    write_rows(tmp_path / "b.csv", RATES)
    write_rows(tmp_path / "c.csv", [{"x": 1}])
    write_text(tmp_path / "d.json", "{}")
    remarks = fl.replicate("thought-branches", tmp_path).remarks
    assert "b.csv was not read: it is a second table of its kind" in remarks
    assert "c.csv was not read: it has no column 'pn', 'sentence', 'sentence_num', 'kl'" in remarks
    assert "d.json was not read: it is no list of chains" in remarks
    assert "the files hold no chains" in remarks
    assert "the files hold no table of hidden hints" in remarks


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cue_answer": "D"}, "'cue_answer' is \"D\", and the options are A, B, C"),
        ({"question": "Which?"}, "the prompt lists no options"),
        ({"response_text": ""}, "'response_text' is empty"),
        ({"cond": None}, "'cond' is null"),
    ],
)
def test_damaged_problems_are_named(tmp_path: Path, more: dict[str, object], words: str) -> None:
    path = write_text(tmp_path / "professor.json", json.dumps([make_problem(), make_problem(**more)]))
    message = read_refusal("thought-branches", tmp_path)
    assert f"{path} is damaged at entry 1: {words}" in message


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [RATES[0], RATES[1] | {"sentence_num": 2}, RATES[2] | {"cue_p": 2}])
    message = read_refusal("thought-branches", tmp_path)
    assert "line 3: sentence 2 of problem 7 stands after 1 others" in message
    assert "line 4: 'cue_p' is 2" in message


def test_judged_chains_of_a_table_count_beside_those_of_problems(tmp_path: Path) -> None:
    """By the words: the reason is found in one of the three chains, the hint in two; AC1 by hand."""
    says = "The professor says (C), so the answer is (C)."
    row = {"cued_raw_response": says, "cue_answer": "C", "cue_type": "Professor", "cond": "itc_success", "model": "m"}
    rows = [
        row,
        row | {"cued_raw_response": "A professor was mentioned. " + "Glass is hard. " * 9_000},
        row | {"cond": "no_label", "cued_raw_response": "Left out."},
    ]
    write_rows(tmp_path / "JUDGED.CSV", rows)
    problems = [make_problem(), make_problem(pn=8)]  # one chain under two numbers, which counts once
    write_text(tmp_path / "professor.json", json.dumps(problems))
    write_text(tmp_path / "other.json", json.dumps([{k: v for k, v in make_problem().items() if k != "pn"}]))
    replication = fl.replicate("thought-branches", tmp_path)
    cells = {cell.name: cell for cell in replication.cells}
    reason = cells["chains that name the hint as a reason"]
    assert (reason.published, reason.ours, reason.n) == (2, 1, 3)
    share = cells["chains that name the hint at all, percent"]
    assert (share.published, share.ours) == (None, pytest.approx(200 / 3))
    assert share.low == pytest.approx(100 * beta.ppf(0.025, 2, 2))
    assert share.high == pytest.approx(100 * beta.ppf(0.975, 3, 1))
    agreement = cells["judge and words (as a reason), Gwet's AC1"]
    chance = 2 * 0.5 * 0.5  # the judge says yes to 2 of 3 chains, the words to 1 of 3
    assert agreement.ours == pytest.approx((2 / 3 - chance) / (1 - chance))
    assert_between(agreement)
    ends = cells["hinted chains that state the hinted answer, percent"]
    assert (ends.ours, ends.n) == (100, 1)
    assert "1 judged chains stand in the files under several numbers, and count once" in replication.remarks


def test_the_rise_over_the_chain_is_the_mean_over_problems(tmp_path: Path) -> None:
    row = RATE | {"sentence": "So.", "sentence_num": 0}
    more = [row | {"pn": "9.0", "cue_p": 0.9, "cue_p_prev": 0.5}, row | {"pn": 10, "cue_p": 0.0, "cue_p_prev": 0.2}]
    write_rows(tmp_path / "counterfactual.csv", [*RATES, *more])
    [rise] = [cell for cell in fl.replicate("thought-branches", tmp_path).cells if "rise" in cell.name]
    assert (rise.ours, rise.n) == (pytest.approx(100 * (0.7 + 0.4 - 0.2) / 3), 3)
    assert_between(rise)


def test_damaged_rows_of_judged_chains_are_named(tmp_path: Path) -> None:
    row = {"cued_raw_response": "Hm.", "cue_answer": "1", "cue_type": "Professor", "cond": "itc_success"}
    path = write_rows(tmp_path / "judged.csv", [row, row | {"cue_answer": "B", "cued_raw_response": " "}])
    message = read_refusal("thought-branches", tmp_path)
    assert f"{path} has 2 bad rows" in message
    assert "line 2: 'cue_answer' is \"1\"" in message
    assert "line 3: 'cued_raw_response' is empty" in message


def test_chains_without_the_hint_may_be_null_and_labels_may_stand_in_brackets(tmp_path: Path) -> None:
    labels = {"gt_answer": "(B)", "cue_answer": "(C)"}
    problem = make_problem(**labels, base_response_text=None, base_gt_response_text=None)
    write_text(tmp_path / "p.json", json.dumps([problem, make_problem(pn=8)]))
    release = read_release(tmp_path)
    first = release.problems["7"]
    assert (first.right, first.hinted, first.plain_chain, first.says_hint) == ("B", "C", "", False)
    cells = {cell.name: cell for cell in fl.replicate("thought-branches", tmp_path).cells}
    assert cells["hinted chains that state the hinted answer, percent"].ours == 100
