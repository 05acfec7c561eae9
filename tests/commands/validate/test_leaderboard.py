"""The leaderboard: labels from files and from chains, met with the scores of a small run; and the command."""

import gzip
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.commands.validate.labels import rank_measures, read_label, read_labels
from faithlens.commands.validate.leaderboard import (
    import_measures,
    order_board,
    rank_labelled_runs,
    tabulate_contests,
)
from faithlens.errors import ConfigError, FaithlensError, MeasureError, RunError, TaskError
from faithlens.stats.concordance import ONE_LABEL
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


class TwiceRun(Run):
    """The run as if each question had a second chain, with other words and the values of the steps in reverse."""

    def read(self, table: str) -> pd.DataFrame:
        frame = super().read(table)
        if table == "traces":
            second = frame.assign(sample=1, steps=pd.Series([[f"other {k}" for k in range(4)]] * N))
        else:
            second = frame.assign(sample=1, step=3 - frame["step"])
        return pd.concat([frame, second], ignore_index=True)


def test_a_rating_is_of_the_chain_that_has_its_words(run: Run, questions: list[str]) -> None:
    twice = TwiceRun.open(run.path)
    chains = run.read("traces").set_index("question")["steps"]
    rows = [
        {"question": q, "step": step, "label": float(step == place), "words": words}
        for q in questions
        for place, texts in ((3, chains[q]), (0, [f"other {k}" for k in range(4)]))
        for step, words in enumerate(texts)
    ]
    board = rank_measures("ratings", twice, pd.DataFrame(rows)).set_index("measure")
    assert [board.loc["knockout.step_raw", name] for name in ("auroc", "n_used", "n_labels")] == [1.0, 8 * N, 8 * N]


def test_labels_name_the_model_where_a_question_has_several(run: Run, questions: list[str], tmp_path: Path) -> None:
    class OfTwo(Run):
        def read(self, table: str) -> pd.DataFrame:
            frame = super().read(table)
            return pd.concat([frame, frame.assign(model="O4", value=0.0)], ignore_index=True)

    two, rows = OfTwo.open(run.path), label_last_steps(questions)
    with pytest.raises(RunError, match=r"several models for a question(?s:.*)`model`: O5, O4"):
        rank_measures("x", two, read_labels(str(write_lines(tmp_path / "a.jsonl", rows)), two))
    path = write_lines(tmp_path / "b.jsonl", [row | {"model": name} for row in rows for name in ("O5", "O4")])
    board = rank_measures("x", two, read_labels(str(path), two)).set_index("measure")
    values = run.read("scores").query("measure == 'knockout.step_raw'")["value"].to_numpy()
    labels = np.tile(np.arange(4) == 3, N)
    assert board.loc["knockout.step_raw", "auroc"] == pytest.approx(
        roc_auc_score(np.tile(labels, 2), np.concatenate([values, 0 * values]))
    )


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
        ([{"question": "q", "label": 1, "step": 1}, {"question": "q", "label": 0}], "1 of the 2 labels .* lack `step`"),
        ([{"question": "q", "label": 1, "sample": 1}, {"question": "q", "label": 0}], "1 of the 2 .* lack `sample`"),
        ([{"question": "q", "label": 1, "model": "O55"}], r"model of the labels of x 'O55'(?s:.*)Did you mean 'O5'"),
        ([], "holds no label"),
        (
            [{"question": "q", "label": 1}, {"question": "r", "label": 0}, {"question": "q", "label": 0}],
            "line 3: a second label of the chain that line 1 labels; keep one",
        ),
        (
            [{"question": "q", "label": 1, "step": 2}, {"question": "q", "label": 1, "step": 2}],
            "line 2: a second label of the step that line 1 labels",
        ),
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
    printed_object = json.loads(result.stdout)
    assert (printed_object["requirements"], printed_object["folder"]) == ([], None)
    rows = {row["measure"]: row for row in printed_object["leaderboard"]}
    assert rows["knockout.step_raw"]["source"] == "o5: labels.jsonl"
    assert rows["knockout.step_raw"]["auroc"] == 1.0
    printed = CliRunner().invoke(app, ["validate", "--labels", pair], env={"COLUMNS": "200"})
    assert "one step hidden" in printed.stdout
    assert "1.00 [" in printed.stdout
    assert f"o5: labels.jsonl (16 of {4 * N} labels)" in printed.stdout
    with pytest.raises(ConfigError, match="--labels takes RUN=FILE, got 'nothing'"):
        rank_labelled_runs(["nothing"])


def test_measures_are_named_and_sources_are_told_apart(run: Run, questions: list[str], tmp_path: Path) -> None:
    rows = label_last_steps(questions)
    path, other = tmp_path / "labels.jsonl", tmp_path / "more"
    other.mkdir()
    write_lines(path, rows)
    write_lines(
        other / "labels.jsonl", [row | {"question": f"{row['question']}{'x' * (i > 7)}"} for i, row in enumerate(rows)]
    )
    pairs = [f"{run.path}={path}", f"{run.path}={other / 'labels.jsonl'}"]
    board = rank_labelled_runs([*pairs, pairs[0]], measures=["knockout.step_raw"])
    assert board["source"].tolist() == [pair.replace("=", ": ") for pair in pairs]
    assert board[["measure", "n_used", "n_labels"]].to_numpy().tolist() == [
        ["knockout.step_raw", 16, 16],
        ["knockout.step_raw", 8, 16],
    ]
    with pytest.raises(MeasureError, match=r"'knockout.stepraw'(?s:.*)Did you mean 'knockout.step_raw'"):
        rank_labelled_runs(pairs, measures=["knockout.stepraw"])


def test_labels_of_one_kind_say_why_there_is_no_number(run: Run, questions: list[str], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "labels.jsonl", [{"question": q, "label": 1} for q in questions])
    printed = CliRunner().invoke(app, ["validate", "--labels", f"{run.path}={path}"], env={"COLUMNS": "200"})
    assert ONE_LABEL in printed.stdout


def test_own_measures_are_imported_before_anything_is_trained() -> None:
    for place, problem in (("math:nothing", "cannot be imported"), ("math:pi", "no function, but of the type float")):
        with pytest.raises(ConfigError, match=problem):
            import_measures([place])
    assert import_measures(["math:prod"]) == [math.prod]


def test_ratings_of_steps_with_other_words_say_so(run: Run, questions: list[str]) -> None:
    rows = [{"question": q, "step": 0, "label": 1.0, "words": "Words of another chain."} for q in questions]
    with pytest.raises(RunError, match="has the words that a label of study is of"):
        rank_measures("study", run, pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--strict", r"--strict is about planted models, and with --labels alone none is tested"),
        ("-n 8 --jobs 2", r"-n and --jobs are about planted models"),
        ("--out there --seeds 1", r"--seeds and --out are about planted models"),
        ("--own math:prod --out there", r"--out is about planted models"),
    ],
)
def test_options_about_planted_models_are_refused_with_labels_alone(words: str, problem: str) -> None:
    result = CliRunner().invoke(app, ["validate", "--labels", "run=labels.csv", *words.split()])
    assert isinstance(result.exception, ConfigError)
    assert re.match(problem, result.exception.problem)
