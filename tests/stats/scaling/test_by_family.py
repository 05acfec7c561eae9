"""What a sweep's tables say: planted slopes by family and conditioning, and trends over difficulty."""

import json

import numpy as np
import pandas as pd
import pytest

from faithlens.commands.sweep.tables import ITEM_COLUMNS
from faithlens.stats.scaling.by_family import answer_by_difficulty, answer_by_size
from tests.commands.sweep.files import EARLY, SHARE


def plant_slopes(slope: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measurements and items of two families, three sizes and four tasks, whose measure moves with size alone."""
    rng, rows, requested = np.random.default_rng(0), [], []
    for family, sign in (("up", 1), ("down", -1)):
        for k in range(3):
            for j in range(4):
                value = 0.5 + 0.05 * j + sign * slope * k
                member = {"family": family, "model": f"{family}{k}", "size": 10 ** (6 + k), "checkpoint": 0, "seed": 0}
                member |= {"task": f"t{j}", "measure": EARLY, "unit": "fraction"}
                right = {"accuracy": 0.3 + 0.1 * rng.random(), "accuracy_se": 0.01}
                rows.append({**member, **right, "value": value + 0.001 * rng.normal()})
                rows.append({**member, "measure": "bound.early_answering.high", "value": 0.9})
                direct = {"confidence": 0.5, "unit": "fraction"}
                requested += [
                    {**member, **direct, "question": f"q{i}", "correct": i % 2, "value": value + 0.001 * rng.normal()}
                    for i in range(12)
                ]
    return pd.DataFrame(rows), pd.DataFrame(requested)


def test_families_are_asked_apart_and_every_answer_finds_the_planted_slope() -> None:
    result = list(answer_by_size(*plant_slopes(0.1), [EARLY, SHARE], seed=0))
    assert [(entry["family"], entry["measure"]) for entry in result] == [("up", EARLY), ("down", EARLY)]
    for entry, slope in zip(result, (0.1, -0.1), strict=True):
        answers = {effect["answer"]: effect for effect in entry["effects"]}
        for name in ("raw", "at equal accuracy", "on wrong items", "at equal confidence"):
            assert answers[name]["value"] == pytest.approx(slope, abs=0.003)
        assert answers["at equal loss"]["reason"] == "held-out loss was not measured"
    assert json.dumps(result, allow_nan=False)


def test_checkpoints_of_equal_loss_are_compared_where_losses_were_measured() -> None:
    """The measure is 0.1 k + loss at size 10^(6 + k), and each size passes through other losses: 0.1 a tenfold."""
    rows = [
        {"family": "up", "measure": EARLY, "unit": "fraction", "seed": 0, "task": f"t{j}", "size": 10 ** (6 + k)}
        | {"checkpoint": c, "loss": 3 - 0.2 * c - 0.1 * k, "value": 0.1 * k + (3 - 0.2 * c - 0.1 * k) / 5 + 0.01 * j}
        for k in range(3)
        for j in range(4)
        for c in range(5)
    ]
    none = pd.DataFrame(columns=ITEM_COLUMNS)
    [result] = answer_by_size(pd.DataFrame(rows), none, [EARLY], seed=0)
    answers = {effect["answer"]: effect["value"] for effect in result["effects"]}
    assert answers["at equal loss"] == pytest.approx(0.1)
    assert answers["raw"] == pytest.approx(0.1 - 0.1 / 5)  # of the last checkpoints, whose losses fall with size


def test_models_of_one_size_that_nothing_tells_apart_have_no_slope() -> None:
    table, requested = plant_slopes(0.1)
    twice = pd.concat([table, table.assign(model=table["model"] + "b")])
    [first, *_] = answer_by_size(twice, requested, [EARLY], seed=0)
    assert first["effects"] == []
    assert first["reason"] == "the table has several rows of one size, task, seed"


def test_difficulty_is_read_in_the_order_given_and_beside_what_accuracies_allow() -> None:
    table, requested = plant_slopes(0.0)
    easy, hard = ({"order": order} for order in (["t0", "t1", "t2", "t3"], ["t3", "t1", "t0"]))
    rises, *others = answer_by_difficulty(table, requested, [EARLY], {"x": easy["order"], "y": hard["order"]})
    assert (rises["model"], rises["observed"], rises["n_used"]) == ("up0", "rises", 48)
    assert rises["p_rise"] < 1e-6
    assert [level["mean"] for level in rises["levels"]] == pytest.approx([0.5, 0.55, 0.6, 0.65], abs=0.002)
    assert {level["bound"] for level in rises["levels"]} == {0.9}
    assert rises["warning"] is None
    assert [entry["observed"] for entry in others] == ["rises"] * 5 + ["falls"] * 6
