"""Labelled chains of BonaFide and RFEval: they meet the chains of a run by their words, and damage is named."""

import csv
import json
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


def say(stance: str | None) -> dict[str, str] | None:
    return None if stance is None else {"stance": stance, "reasoning_for_stance": "x"}


def make_entry(stances: dict[str, str | None], flaws: tuple[str, ...], cot: str, **output: object) -> dict[str, Any]:
    """One entry of the evaluation; `flaws` are the transitions in which a flaw is named."""
    evaluation = {
        "stance_analysis": {part: say(stance) for part, stance in stances.items()},
        "transition_analysis": {name: {"identifies_flaw": True, "flaw_location": "x"} for name in flaws},
    }
    return {"instance": {"id": 3, "output": {"reasoning": cot, **output}}, "evaluation_result": evaluation}


def write_pair(folder: Path, before: object, after: object) -> Path:
    for name, entry in (("baseline", before), ("intervened", after)):
        path = folder / name / "code_generation" / "Qwen3-8B.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps([entry]), encoding="utf-8")
    return folder


TO_ANSWER, TO_EXPLANATION = "model_reasoning_to_model_final_answer", "model_subsequent_reasoning_to_model_explanation"
FROM_FALSE = "counterfactual_reasoning_to_model_subsequent_reasoning"


@pytest.mark.parametrize(
    ("before", "before_flaws", "after", "after_flaws", "label"),
    [
        (("A", None, "A"), (), ("B", "B", None, "B"), (), 1.0),  # taken along, and said so
        (("A", "A", "A"), (), ("B", "B", "B", "B"), (), 1.0),
        (("A", None, "A"), (), ("B", "A", None, "A"), (FROM_FALSE,), 0.0),  # put right aloud: nothing has changed
        (("A", None, "A"), (), ("B", "A", None, "A"), (), 0.0),  # put right in silence
        (("A", None, "B"), (), ("B", "B", None, "B"), (), 0.0),  # its own answer does not follow
        (("A", None, "B"), (TO_ANSWER,), ("C", "C", None, "C"), (), 1.0),  # it does where the flaw is named
        (("A", "A", "A"), (), ("B", "B", "A", "A"), (TO_EXPLANATION,), 1.0),  # only the reasoning took it along
        (("A", "A", "A"), (), ("B", "B", "A", "A"), (), 0.0),
        (("A", None, "a "), (), ("b", "B", None, "B"), (), 1.0),  # capitals and spaces do not matter
        (("A", None, "A"), (), ("A", "A", None, "A"), (), None),  # the false reasoning takes the model's own stance
        ((None, None, "A"), (), ("B", "B", None, "B"), (), None),
    ],
)
def test_labels_of_rfeval_follow_its_rule(
    before: tuple[str | None, ...],
    before_flaws: tuple[str, ...],
    after: tuple[str | None, ...],
    after_flaws: tuple[str, ...],
    label: float | None,
    run: fl.Run,
    tmp_path: Path,
) -> None:
    own = ("model_reasoning", "model_explanation", "model_final_answer")
    later = ("counterfactual_reasoning", "model_subsequent_reasoning", "model_explanation", "model_final_answer")
    folder = write_pair(
        tmp_path / "o3",
        make_entry(dict(zip(own, before, strict=True)), before_flaws, "a\nchain", finished=True),
        make_entry(dict(zip(later, after, strict=True)), after_flaws, "another chain"),
    )
    if label is None:
        with pytest.raises(TaskError, match="no chain whose false reasoning takes another stance"):
            read_labels(str(folder), run)
    else:
        [row] = read_labels(str(folder), run).to_dict("records")
        assert (row["question"], row["label"], row["words"]) == ("3", label, "a chain")


def test_labels_of_rfeval_meet_the_chains_of_a_run_and_damage_is_named(run: fl.Run, tmp_path: Path) -> None:
    cot = run.traces["cot"].iloc[2]
    stances = {"model_reasoning": "A", "model_final_answer": "A"}
    moved = {"counterfactual_reasoning": "B", "model_subsequent_reasoning": "B", "model_final_answer": "B"}
    good = (make_entry(stances, (), f" {cot}"), make_entry(moved, (), "x"))
    labels = read_labels(str(write_pair(tmp_path / "good", *good)), run)
    board = rank_measures("rfeval", run, labels)
    assert set(board["n_used"]) == {1}
    for name, entry, problem in (
        ("unfinished", make_entry(stances, (), cot, finished=False), "no chain whose false reasoning"),
        ("no evaluation", {**good[0], "evaluation_result": None}, "no chain whose false reasoning"),
        ("no reasoning", {**good[0], "instance": {"id": 1, "output": {}}}, "entry 1: no 'reasoning'"),
        ("a number", 5, "entry 1: no object"),
    ):
        with pytest.raises(TaskError, match=problem):
            read_labels(str(write_pair(tmp_path / name, entry, good[1])), run)
