"""Steps with mistakes and rated steps, made up; correlations from the textbook formula."""

from pathlib import Path

import numpy as np
import pytest

import faithlens as fl
from faithlens.tasks.published.fur import read_release
from tests.tasks.published_files import (
    STEPS,
    dump,
    make_mistake_line,
    make_study_row,
    read_refusal,
    write_rows,
    write_text,
)

STUDY = [
    make_study_row(0, -0.3, "Fully Supportive"),
    make_study_row(1, 0.3, "Not Supportive At All"),
    make_study_row(1, 0.5, "Slightly Supportive", ID="q2"),
    make_study_row(1, 0.4, "Moderately Supportive", ID="q3"),
    make_study_row(2, 0.9, "Mostly Supportive"),
]


def correlate(x: list[int], y: list[float]) -> float:
    """Pearson's correlation as the mean product of standard scores."""
    first, second = ((np.array(v) - np.mean(v)) / np.std(v) for v in (x, y))
    return float(np.mean(first * second))


def test_correlations_leave_out_what_the_notebook_leaves_out(tmp_path: Path) -> None:
    write_rows(tmp_path / "study.csv.gz", STUDY)
    cells = {cell.name: cell for cell in fl.replicate("fur", tmp_path).cells}
    positive, three = (
        cells["study: rating and dp, steps with dp > 0"],
        cells["study: rating in three classes and dp, same steps"],
    )
    assert positive.ours == pytest.approx(correlate([1, 2, 3, 4], [0.3, 0.5, 0.4, 0.9]))
    assert (positive.published, positive.n) == (0.267, 4)
    assert positive.explanation == "the files hold 4 such steps, the notebook used 81"
    assert three.ours == pytest.approx(correlate([0, 0, 1, 2], [0.3, 0.5, 0.4, 0.9]))
    every = cells["study: rating and dp, all steps"]
    assert every.ours == pytest.approx(correlate([5, 1, 2, 3, 4], [-0.3, 0.3, 0.5, 0.4, 0.9]))
    assert cells["study: unlearning the step changes the answer, percent"].ours == pytest.approx(40)


def test_labels_stay_with_their_steps(tmp_path: Path) -> None:
    write_rows(tmp_path / "study.csv", STUDY)
    rated = read_release(tmp_path).study
    assert [(each.question_id, each.step, each.rating, each.fall, each.flips) for each in rated] == [
        ("q1", 0, 5, -0.3, False),
        ("q1", 1, 1, 0.3, False),
        ("q2", 1, 2, 0.5, True),
        ("q3", 1, 3, 0.4, False),
        ("q1", 2, 4, 0.9, True),
    ]
    assert rated[0].steps == tuple(STEPS)
    assert (rated[0].options, rated[0].right, rated[0].predicted) == (("It floats.", "It sinks."), 1, 1)


def test_mistakes_are_read_and_named_by_file_or_folder(tmp_path: Path) -> None:
    same = make_mistake_line(step_idx=2, cot_step=STEPS[2], mistake_cot_step=STEPS[2] + " ")
    write_text(tmp_path / "sqa-Small-3.jsonl.gz", dump(make_mistake_line(), same))
    write_text(tmp_path / "openbook/Small-4/npo.out", dump(make_mistake_line(own_key=[1])))
    write_text(tmp_path / "mine.jsonl", dump(make_mistake_line()))
    release = read_release(tmp_path)
    assert {name: len(steps) for name, steps in release.mistakes.items()} == {
        "mine": 1, "openbook, Small-4": 1, "sqa, Small-3": 2,
    }  # fmt: skip
    first, second = release.mistakes["sqa, Small-3"]
    assert (first.step, first.mistaken, first.by, first.is_changed) == (1, "Iron floats in water.", "writer-1", True)
    assert first.options == ("It floats.", "It sinks.")
    assert not second.is_changed
    cells = {cell.name: cell.ours for cell in fl.replicate("fur", tmp_path).cells}
    assert cells["sqa, Small-3: chains"] == 1
    assert cells["sqa, Small-3: steps with a mistake"] == 2
    assert cells["sqa, Small-3: of these, mistakes that change no word"] == 1


def test_rows_without_ratings_are_no_study_and_are_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [{key: value for key, value in row.items() if key != "rating"} for row in STUDY])
    write_rows(tmp_path / "b.csv", STUDY)
    replication = fl.replicate("fur", tmp_path)
    assert "a.csv was not read: it has no column 'rating'" in replication.remarks
    assert replication.files == (str(tmp_path / "b.csv"),)


def test_rated_steps_that_have_a_mistake_are_counted(tmp_path: Path) -> None:
    write_rows(tmp_path / "study.csv", STUDY)
    write_text(tmp_path / "sqa-x.jsonl", dump(make_mistake_line()))
    assert "1 of 5 rated steps have a mistake in these files" in fl.replicate("fur", tmp_path).remarks


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (make_mistake_line(step_idx=3), "'step_idx' is 3, and 'segmented_cot' has 3 steps"),
        (make_mistake_line(step_idx=True), "'step_idx' is true"),
        (make_mistake_line(cot_step="Other."), "'cot_step' is not step 1 of 'segmented_cot'"),
        (make_mistake_line(segmented_cot=[]), "'segmented_cot' is []"),
        (make_mistake_line(mistake_cot_step=""), "'mistake_cot_step' is empty"),
        ({"id": "q"}, "no 'segmented_cot'"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: object, words: str) -> None:
    path = write_text(tmp_path / "sqa-x.jsonl", dump(make_mistake_line(), line) + '{"id": \n')
    message = read_refusal("fur", tmp_path)
    assert f"{path} has 2 bad lines" in message
    assert f"line 2: {words}" in message
    assert "line 3: not JSON" in message


def test_damaged_rows_of_the_study_are_named(tmp_path: Path) -> None:
    bad = [
        make_study_row(3, 0.5, "Fully Supportive"),
        make_study_row(1, 0.5, "Supportive"),
        make_study_row(1, 0.5, "Fully Supportive", flip="maybe"),
        make_study_row(1, 1.5, "Fully Supportive"),
    ]
    write_rows(tmp_path / "study.csv", bad)
    message = read_refusal("fur", tmp_path)
    for line, words in enumerate(
        ["'target_step_idx' is 3", "'rating' is \"Supportive\"", "'flip' is \"maybe\"", "'dp' is 1.5"], start=2
    ):
        assert f"line {line}: {words}" in message


def test_what_stands_in_two_files_counts_once(tmp_path: Path) -> None:
    other = make_mistake_line(id="q2")
    write_text(tmp_path / "sqa-Small.jsonl", dump(make_mistake_line(), other))
    again = {"own": 1} | make_mistake_line()
    write_text(tmp_path / "more/sqa/Small/run/npo.out", dump(again, make_mistake_line(id="q3")))
    write_text(tmp_path / "copy/sqa-Small.jsonl.gz", dump(make_mistake_line(), other))
    write_rows(tmp_path / "study.csv", STUDY[:3])
    write_rows(tmp_path / "whole.csv", STUDY)
    replication = fl.replicate("fur", tmp_path)
    cells = {cell.name: cell for cell in replication.cells}
    assert cells["sqa, Small: steps with a mistake"].ours == 3
    assert cells["study: rating and dp, all steps"].n == len(STUDY)
    assert "3 steps of whole.csv stand in another file too, and count once" in replication.remarks
    assert sum("counts once" in remark or "count once" in remark for remark in replication.remarks) == 3


def test_other_files_of_json_lines_are_left_out_and_named(tmp_path: Path) -> None:
    write_text(tmp_path / "LM_judge/sqa_judgements.jsonl", dump({"prompt": "Same?", "response": "Yes"}))
    write_text(tmp_path / "sqa-Small.JSONL", "\n" + dump(make_mistake_line()) + "\n\n")
    replication = fl.replicate("fur", tmp_path)
    assert "sqa_judgements.jsonl was not read: no line of it holds a step with a mistake" in replication.remarks
    assert {cell.name: cell.ours for cell in replication.cells}["sqa, Small: steps with a mistake"] == 1


def test_indices_of_the_study_are_whole_and_finite(tmp_path: Path) -> None:
    rows = [
        make_study_row(1, 0.5, "Fully Supportive", target_step_idx=1.5),
        make_study_row(1, 0.5, "Fully Supportive", correct_answer="inf"),
        make_study_row(1, 0.5, "Fully Supportive", predicted_answer=0.5),
    ]
    path = write_rows(tmp_path / "study.csv", rows)
    message = read_refusal("fur", tmp_path)
    assert f"{path} has 3 bad rows" in message
    assert "line 2: 'target_step_idx' is 1.5; a whole number" in message
    assert "line 3: 'correct_answer' is inf; a number from 0 to 1" in message
    assert "line 4: 'predicted_answer' is 0.5; a whole number" in message
