"""The two tables that a validation reads again are believed only where they could have been written."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from faithlens.commands.validate import run as run_module
from faithlens.commands.validate.run import gather_models, read_table, read_validation
from faithlens.errors import RunError
from faithlens.store import Run

MODEL = {"organism": "O4", "seed": 0, "model": "O4", "faults": "", "fails": "causal", "right_verdict": "do-not-trust"}
MODEL |= {"mode": "", "planted_content": 0.0, "planted_enforced": True, "verdict": None, "failed_gates": ""}
SCORE = {"model": "O4", "task": "running-sum", "measure": "mediation.content", "step": pd.NA, "value": 0.5}
ROWS = {"models.parquet": [MODEL], "scores.parquet": [SCORE | {"question": question} for question in "ab"]}


def write(run: Run, name: str, rows: list[dict[str, Any]]) -> None:
    run.write_frame(name, pd.DataFrame(rows))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "validation", {"config": {"n": 2}})
    for name, rows in ROWS.items():
        write(run, name, rows)
    return run


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("models.parquet", {"verdict": "maybe"}, "verdict of validated_models must be one of trust, do-not-trust, "),
        (
            "models.parquet",
            {"planted_content": float("inf")},
            "planted_content of validated_models must lie between 0 ",
        ),
        ("models.parquet", {"planted_enforced": "yes"}, "rows of validated_models have values of the wrong type"),
        ("models.parquet", {"mode": None}, "rows of validated_models have values of the wrong type: .*mode"),
        ("models.parquet", {"colour": "red"}, r"rows of validated_models have unknown columns .'colour'."),
        ("scores.parquet", {"value": float("-inf")}, "mediation.content must lie in its range, -1 to 1, got -inf"),
        ("scores.parquet", {"step": "first"}, "rows of validated_scores have values of the wrong type"),
        ("scores.parquet", {"question": "b"}, "rows of validated_scores have the same model, task, question, measure"),
    ],
)
def test_rows_that_could_not_have_been_written_are_refused(
    name: str, change: dict[str, Any], fault: str, run: Run
) -> None:
    assert len(read_table(run, name)) == len(ROWS[name])
    write(run, name, [ROWS[name][0] | change, *ROWS[name][1:]])
    with pytest.raises(RunError, match=f"{name} cannot be believed: {fault}") as caught:
        read_table(run, name)
    assert "repeat faithlens validate" in caught.value.fix


@pytest.mark.parametrize(("model", "lost"), [("O5", "O4"), (None, "any model")])
def test_models_without_scores_are_named(model: str | None, lost: str, run: Run) -> None:
    n = 0 if model is None else 1
    run.write_frame("models.parquet", pd.DataFrame([MODEL])[:n])
    run.write_frame("scores.parquet", pd.DataFrame([SCORE | {"model": model, "question": "a"}])[:n])
    with pytest.raises(RunError, match=f"have no scores of {lost}"):
        read_validation(run.path)


@pytest.mark.parametrize("lost", ["models.parquet", "scores.parquet", "rows"])
def test_a_model_without_its_scores_is_measured_again(lost: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = pd.DataFrame([MODEL]), pd.DataFrame([SCORE | {"question": "c"}])
    monkeypatch.setattr(run_module, "validate_model", lambda *_: measured)
    if lost == "rows":
        write(run, "scores.parquet", [SCORE | {"model": "O5", "question": "a"}])
    else:
        (run.path / lost).unlink()
        run = Run.create(run.path, {"config": {"n": 2}}, resume=True)
    models, scores = gather_models(run, [("O4", 0)], 2, 0, 1)
    assert (models["model"].tolist(), scores["question"].tolist()) == (["O4"], ["c"])
    assert read_table(run, "models.parquet")["model"].tolist() == ["O4"]
