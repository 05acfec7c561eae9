"""The leaderboard: labels from files and from chains, met with the scores of a small run; and the command."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.commands.validate.labels import rank_measures, read_label, read_labels
from faithlens.commands.validate.leaderboard import order_board, rank_labelled_runs, tabulate_contests
from faithlens.errors import ConfigError, FaithlensError, RunError, TaskError
from faithlens.store import Run
from faithlens.tasks.question_factory import BadEntryError
from tests.tasks.published_files import write_rows, write_text

N = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """O5 on four questions: of each chain of four steps, the answer depends on the last alone."""
    folder = tmp_path_factory.mktemp("run") / "o5"
    return fl.audit("O5", task="running-sum", n=N, assays=["knockouts", "deletion", "baselines"], out=folder)


@pytest.fixture
def questions(run: Run) -> list[str]:
    return list(run.read("traces")["question"])


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    return write_text(path, "\n".join(map(json.dumps, rows)))


def label_last_steps(questions: list[str]) -> list[dict[str, object]]:
    return [{"question": q, "step": step, "label": step == 3} for q in questions for step in range(4)]


def test_measures_of_steps_are_ranked_by_labels_of_steps(run: Run, questions: list[str], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "labels.jsonl", label_last_steps(questions))
    board = rank_measures("last", run, read_labels(str(path), run)).set_index("measure")
    assert board.loc["knockout.step_raw", "auroc"] == 1.0
    scores = run.read("scores")
    soft = scores[scores["measure"] == "deletion.soft"]
    assert board.loc["deletion.soft", "direction"] == -1  # a fall of it means more
    assert board.loc["deletion.soft", "auroc"] == pytest.approx(roc_auc_score(soft["step"] == 3, -soft["value"]))
    assert [board.loc["knockout.step_raw", name] for name in ("n_used", "n_questions")] == [4 * N, N]
    assert "knockout.steps" not in board.index  # of whole chains
    assert float(board.loc["knockout.step_raw", "low"]) < 1.0  # pyright: ignore[reportArgumentType]


def test_measures_of_chains_and_means_of_steps_meet_labels_of_chains(
    run: Run, questions: list[str], tmp_path: Path
) -> None:
    scores = run.read("scores")
    steps = scores[scores["measure"] == "knockout.step_raw"].groupby("question")["value"].mean()
    rows = [{"question": q, "sample": 0, "label": float(steps[q]), "note": "x"} for q in questions]
    path = write_rows(tmp_path / "labels.csv", rows)
    board = rank_measures("mean", run, read_labels(str(path), run)).set_index("measure")
    assert board.loc["knockout.step_raw", "auroc"] == 1.0
    assert board.loc["knockout.step_raw", "n_used"] == N
    assert "knockout.steps" in board.index


def test_the_study_of_rated_steps_is_read_as_it_was_released(run: Run, questions: list[str], tmp_path: Path) -> None:
    words = ["Not Supportive At All", "Slightly Supportive", "Slightly Supportive", "Fully Supportive"]
    row = {"Question": "?", "options": "A): 1||B): 2", "correct_answer": 1, "predicted_answer": 1, "dp": 0.5}
    row |= {"flip": "TRUE", "dataset": "sqa", "model": "LLaMA-3-3B"}
    chains = run.read("traces").set_index("question")["steps"]
    other = "a||b||c||d"  # of another model, which wrote another chain for the first question
    rows = [
        {"ID": q, **row, "segmented_cot": cot, "target_step_idx": step, "rating": words[step]}
        for q, cot in [(questions[0], other), *((q, "||".join(chains[q])) for q in questions[1:])]
        for step in range(4)
    ]
    path = write_rows(tmp_path / "study.csv.gz", rows)
    assert gzip.decompress(path.read_bytes())
    labels = read_labels(str(path), run)
    assert labels["label"].tolist() == [1, 2, 2, 5] * N
    board = rank_measures("study", run, labels).set_index("measure")
    assert board.loc["knockout.step_raw", "n_used"] == 4 * (N - 1)
    assert float(board.loc["knockout.step_raw", "auroc"]) > 0.5  # pyright: ignore[reportArgumentType]


class LabelledRun(Run):
    """The run as if its chains had come with labels, which are stored as texts."""

    def read(self, table: str) -> pd.DataFrame:
        frame = super().read(table)
        if table != "traces":
            return frame
        marks = [["0", "0", None, "1"]] * N
        return frame.assign(**{"given.judge": ["faithful", "unfaithful", None, "true"], "given_steps.mark": marks})


def test_labels_that_came_with_chains_are_named(run: Run) -> None:
    own = LabelledRun.open(run.path)
    assert read_labels("judge", own)["label"].tolist() == [1, 0, 1]
    steps = read_labels("mark", own)
    assert steps["label"].tolist() == [0, 0, 1] * N
    assert steps["step"].tolist() == [0, 1, 3] * N
    board = rank_measures("mark", own, steps).set_index("measure")
    assert [board.loc["knockout.step_raw", name] for name in ("auroc", "n_used")] == [1.0, 3 * N]
    with pytest.raises(RunError, match=r"'jugde' is no file(?s:.*)judge"):
        read_labels("jugde", own)
    with pytest.raises(RunError, match=r"Name a file of labels\."):
        read_labels("judge", run)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"question": "q"}], "'label' missing"),
        ([{"question": "q", "label": "maybe"}], 'the label is "maybe"'),
        ([{"question": "q", "label": 1, "step": -1}], "'step' is -1"),
        ([{"question": "q", "label": 1, "step": 1}, {"question": "q", "label": 0}], "labels of chains and of steps"),
        ([], "holds no label"),
        ([{"question": "another", "label": 1}], "no label of x meets a score"),
    ],
)
def test_a_bad_file_says_what_is_wrong(rows: list[dict[str, object]], problem: str, run: Run, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "labels.jsonl", rows)
    with pytest.raises((TaskError, FaithlensError), match=problem):
        rank_measures("x", run, read_labels(str(path), run))


def test_labels_are_numbers_or_words() -> None:
    assert [read_label(text) for text in (True, "No", "faithful", "2.5", 3)] == [1, 0, 1, 2.5, 3]
    for text in ("", "nan", "inf", "perhaps"):
        with pytest.raises(BadEntryError):
            read_label(text)


def test_contests_of_planted_models_are_rows_and_sources_keep_their_order() -> None:
    detection = pd.DataFrame(
        {"contest": "enforced", "measure": ["knockout.steps", "knockout.question"], "auroc": [0.7, 0.9], "low": 0.5}
        | {"high": 1.0, "n_used": 8, "reason": None}
    )
    rows = tabulate_contests(detection)
    board = order_board([rows, rows.assign(source="labels", auroc=[np.nan, 0.2])])
    assert board["source"].tolist() == ["planted: enforced"] * 2 + ["labels"] * 2
    assert board["measure"].tolist() == ["knockout.question", "knockout.steps"] * 2
    assert board["direction"].tolist() == [-1, 1, -1, 1]


def test_the_command_prints_one_table_or_json(run: Run, questions: list[str], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "labels.jsonl", label_last_steps(questions))
    pair = f"{run.path}={path}"
    result = CliRunner().invoke(app, ["validate", "--labels", pair, "--json"])
    assert result.exit_code == 0, result.output
    rows = {row["measure"]: row for row in json.loads(result.stdout)}
    assert rows["knockout.step_raw"]["source"] == "o5: labels.jsonl"
    assert rows["knockout.step_raw"]["auroc"] == 1.0
    printed = CliRunner().invoke(app, ["validate", "--labels", pair], env={"COLUMNS": "200"})
    assert "one step hidden" in printed.stdout
    assert "1.00 [" in printed.stdout
    with pytest.raises(ConfigError, match="--labels takes RUN=FILE, got 'nothing'"):
        rank_labelled_runs(["nothing"])
