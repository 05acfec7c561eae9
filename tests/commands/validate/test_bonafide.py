"""Labelled chains in the columns of BonaFide: they meet the chains of a run by their words, and damage is named."""

import csv
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

import faithlens as fl
from faithlens.commands.validate.labels import rank_measures, read_labels
from faithlens.errors import RunError, TaskError
from faithlens.stats.concordance import TIE_DECIMALS
from faithlens.tasks.published.bonafide import COLUMNS, read_release

N = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fl.Run:
    return fl.audit("O5", "running-sum", N, tmp_path_factory.mktemp("run") / "run", assays=("baselines",), device="cpu")


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows of the table, with columns that are not read beside those that are."""
    columns = ("id", *COLUMNS, "src_type", "hint_type")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="x")
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_row(cot: str, label: str, model: str = "org/m", question: str = "7") -> dict[str, Any]:
    return {"question_id": question, "target_model": model, "cot": cot, "label_type": label}


def test_labels_meet_chains_by_their_words(run: fl.Run, tmp_path: Path) -> None:
    """Neither the model nor the question of the table has the name that it has in the run, and spaces do not matter."""
    chains = run.traces.set_index("question")["cot"]
    assert chains.nunique() == N
    faithful = {question: i % 3 == 0 for i, question in enumerate(chains.index)}
    rows = [
        make_row(f"\n{chains[question].replace(' ', '  ')} ", f"{'' if is_faithful else 'UN'}FAITHFUL_COT")
        for question, is_faithful in faithful.items()
    ]
    rows += [
        make_row("A chain that the run does not have.", "FAITHFUL_COT"),
        make_row(chains.iloc[0], "UNFAITHFUL_STEP"),
    ]
    rows += rows[:1]  # a label that stands twice counts once
    labels = read_labels(str(write_table(tmp_path / "BonaFide.csv", rows)), run)
    assert labels["label"].tolist() == [*map(float, faithful.values()), 1.0]
    board = rank_measures("BonaFide", run, labels).set_index("measure")
    scores = run.scores.dropna(subset=["value"])
    tested = 0
    for measure, own in scores.groupby("measure"):
        values = own.groupby("question")["value"].mean()
        if len(values) == N and values.nunique() > 1:
            expected = roc_auc_score([faithful[question] for question in values.index], values.round(TIE_DECIMALS))
            sign = -1 if board.loc[measure, "direction"] < 0 else 1
            assert board.loc[measure, "auroc"] == pytest.approx(expected if sign > 0 else 1 - expected)
            assert board.loc[measure, "n_used"] == N
            tested += 1
    assert tested > 0


def test_a_run_without_the_chains_is_refused(run: fl.Run, tmp_path: Path) -> None:
    labels = read_labels(str(write_table(tmp_path / "b.csv", [make_row("Another chain.", "FAITHFUL_COT")])), run)
    with pytest.raises(RunError, match=r"has the words that a label of b is of(?s:.*)--traces"):
        rank_measures("b", run, labels)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([make_row("a b", "FAITHFUL")], r"line 2: label_type is \"FAITHFUL\""),
        ([make_row(" ", "FAITHFUL_COT")], "line 2: cot is empty"),
        ([make_row("a b", "FAITHFUL_COT"), make_row("a  b", "UNFAITHFUL_COT")], "line 3: the chain has both labels"),
        ([make_row("a b", "FAITHFUL_STEP")], "holds no label of a chain"),
    ],
)
def test_damage_is_named(rows: list[dict[str, Any]], problem: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=problem):
        read_release(write_table(tmp_path / "b.csv", rows))


def test_one_chain_of_two_models_has_two_labels(tmp_path: Path) -> None:
    rows = [make_row("a b", "FAITHFUL_COT", "m"), make_row("a b", "UNFAITHFUL_COT", "n")]
    assert [each.is_faithful for each in read_release(write_table(tmp_path / "b.csv", rows))] == [True, False]
