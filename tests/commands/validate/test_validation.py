"""Validation against planted truth: labels, contests and requirements of hand-made scores, then the whole way."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from faithlens.cli.main import app
from faithlens.commands.validate.measures import MEASURE_SIGNS, STEP_MEASURE_SIGNS
from faithlens.commands.validate.models import label_scores, read_certified_truth
from faithlens.commands.validate.requirements import check_calibration, check_cells, check_silence, check_step_detection
from faithlens.commands.validate.requirements import check_verdicts as decided_bars
from faithlens.commands.validate.run import read_validation, run_validation
from faithlens.commands.validate.tables import (
    compare_exposures,
    compute_calibrations,
    compute_detections,
    compute_rankings,
    compute_reliabilities,
    count_verdicts,
    find_levels,
    list_step_values,
    sum_by_question,
)
from faithlens.commands.validate.user_measure import validate_measure
from faithlens.errors import ConfigError, MeasureError
from faithlens.measures.catalogue import get_measure
from faithlens.organisms import ORGANISMS, find_weights
from faithlens.report.detection import make_exposures_table
from faithlens.tasks.registry import load_task


def scores(model, rows):
    """Scores of one model: question, measure, value, step."""
    frame = pd.DataFrame(rows, columns=["question", "measure", "value", "step"])
    return frame.assign(model=model, task=ORGANISMS[model.partition("@")[0]].task, fraction=np.nan, condition="full")


def make_graded_row(mode, value, measure="attention.span"):
    return (f"running-sum-modes-{mode.lower()}-1-2-3-4", measure, value, 0)


def test_labels_are_what_is_planted_and_of_a_graded_organism_what_is_certified():
    o4 = label_scores(
        read_certified_truth("O4", 0), scores("O4", [("running-sum-1-2-3-4", "knockout.steps", 0.5, None)])
    )
    assert o4[["organism", "seed", "mode"]].values.tolist()[0] == ["O4", 0, ""]
    assert o4[["planted_content", "planted_question", "planted_enforced"]].values.tolist()[0] == [0, 1, True]
    rates = json.loads((find_weights("O1") / "certificate.json").read_text())["reliance"]
    o1 = label_scores(
        read_certified_truth("O1", 0), scores("O1", [make_graded_row("Half", 0.1), make_graded_row("Always", 0.9)])
    )
    assert o1["mode"].tolist() == ["Half", "Always"]
    assert o1["planted_content"].tolist() == [rates["Half"]["value"], rates["Always"]["value"]]
    assert o1["planted_question"].tolist() == [1 - rates["Half"]["value"], 1 - rates["Always"]["value"]]


def test_labels_of_questions_with_hints_are_what_is_done_with_them():
    task = [q.id for q in load_task(ORGANISMS["O9"].task).draw_questions(10, 0)]
    result = label_scores(
        read_certified_truth("O9", 0), scores("O9", [(question, "knockout.steps", 0.5, None) for question in task])
    )
    modes = result.set_index("question")["mode"]
    assert modes[task].tolist() == ["No", "Silent", "Half", "Avowed", "Rationalised"] * 2
    assert result.groupby("mode")["planted_content"].first().round(1).to_dict() == ORGANISMS["O9"].modes


def test_measures_of_steps_are_summed_over_a_question():
    rows = [("q", "attention.span", 0.7, None), ("q", "attention.span", 0.1, 0), ("q", "attention.span", 0.2, 1)]
    rows += [("q", "mediation.content", 0.4, None), ("q", "stated.agrees", 1.0, None)]
    result = sum_by_question(label_scores(read_certified_truth("O5", 0), scores("O5", rows))).set_index("measure")[
        "value"
    ]
    assert result.to_dict() == {"attention.span": pytest.approx(0.3), "mediation.content": 0.4}


def test_measures_that_define_a_rate_are_kept_out_of_the_contest_on_it():
    rows = [make_graded_row(mode, value, m) for mode, value in (("Never", 0.0), ("Always", 1.0)) for m in MEASURE_SIGNS]
    rows = [(q, m, v, 0 if m in STEP_MEASURE_SIGNS else None) for q, m, v, _ in rows]
    result = compute_detections(sum_by_question(label_scores(read_certified_truth("O1", 0), scores("O1", rows))))
    assert set(result["contest"]) == {"O1"}
    assert set(result["measure"]) == {m for m in MEASURE_SIGNS if not get_measure(m).is_defining}
    assert set(result.loc[result["measure"] != "same_answer.no_cot", "auroc"]) == {0.0, 1.0}
    assert result.set_index("measure").loc["same_answer.no_cot", "auroc"] == 0.0  # more of it means less reliance


def test_enforced_truths_are_one_contest_over_organisms():
    rows = {"O4": 0.0, "O10": 0.9, "O5": 1.0}
    made = [
        label_scores(
            read_certified_truth(name, 0), scores(name, [(f"q{i}", "knockout.steps", value, None) for i in range(4)])
        )
        for name, value in rows.items()
    ]
    result = compute_detections(sum_by_question(pd.concat(made))).iloc[0]
    assert (result["contest"], result["auroc"]) == ("enforced", 1.0)
    assert result["threshold"] == pytest.approx(0.95)
    assert result["by_organism"] == {"O10": 1.0, "O4": 1.0, "O5": 1.0}


def test_steps_are_marked_as_planted_and_only_where_the_answer_goes_by_them():
    rows = [
        (q, m, v, s) for q, m, v, _ in (make_graded_row("Never", 0.3), make_graded_row("Always", 0.6)) for s in range(4)
    ]
    result = list_step_values(label_scores(read_certified_truth("O1", 0), scores("O1", rows)))
    assert result["mode"].unique().tolist() == ["Always"]
    assert result["positive"].tolist() == [False, False, False, True]


def test_effects_are_calibrated_on_certified_rates():
    rates = json.loads((find_weights("O2") / "certificate.json").read_text())["reliance"]
    rows = [make_graded_row(mode, 0.1 + 0.8 * rate["value"], "mediation.content") for mode, rate in rates.items()]
    rows = [(q, m, v, None) for q, m, v, _ in rows]
    result = compute_calibrations(sum_by_question(label_scores(read_certified_truth("O2", 0), scores("O2", rows))))
    assert result[["slope", "intercept"]].to_numpy() == pytest.approx(np.array([[0.8, 0.1]]))
    [bar] = check_calibration(result)
    assert bar.passed is False
    assert "slope 0.800" in bar.measured


def test_a_model_with_faults_stands_for_nothing():
    made = scores("O4", [("q", "knockout.steps", 0.0, None)])
    assert label_scores(read_certified_truth("O4", 0).assign(faults="answers as taught: 50.0%"), made).empty


def test_ranks_are_those_of_values_against_certified_rates():
    modes = ("Never", "Seldom", "Half", "Mostly", "Always")
    rows = [make_graded_row(mode, value) for value, mode in enumerate(modes)] + [
        make_graded_row("Always", 9.0, "mediation.content")
    ]
    result = compute_rankings(sum_by_question(label_scores(read_certified_truth("O1", 0), scores("O1", rows))))
    assert result["measure"].tolist() == ["attention.span"]
    assert result[["spearman", "kendall"]].to_numpy() == pytest.approx(np.ones((1, 2)))
    swapped = [make_graded_row(mode, value) for value, mode in zip((1, 0, 2, 3, 4), modes, strict=True)]
    result = compute_rankings(sum_by_question(label_scores(read_certified_truth("O1", 0), scores("O1", swapped)))).iloc[
        0
    ]
    assert [result["spearman"], result["kendall"]] == pytest.approx([0.9, 0.8])


def test_reliability_is_the_agreement_of_halves_of_the_questions_over_models():
    halves = {"O4": (0.1, 0.2), "O5": (0.9, 0.8), "O11": (0.5, 0.6)}
    made = [
        label_scores(
            read_certified_truth(name, 0),
            scores(name, [(f"q{i}", "knockout.steps", halves[name][i % 2], None) for i in range(4)]),
        )
        for name in halves
    ]
    result = compute_reliabilities(sum_by_question(pd.concat(made))).iloc[0]
    r = np.corrcoef(np.array([*halves.values()]).T)[0, 1]
    assert result[["halves", "whole", "n"]].tolist() == pytest.approx([r, 2 * r / (1 + r), 3])


def test_what_is_decided_is_held_against_what_is_planted():
    """One O4 is trusted, O9 and O1 are rightly not; a faulty model counts nowhere."""
    decided = {"O4": "trust", "O4@1": "do-not-trust", "O5": "trust", "O9": "do-not-trust", "O1": "do-not-trust"}
    made = [
        read_certified_truth(name.partition("@")[0], 0).assign(model=name, verdict=v) for name, v in decided.items()
    ]
    faulty = read_certified_truth("O5", 0).assign(model="O5@1", faults="answers as taught: 50.0%", verdict=None)
    result = count_verdicts(pd.concat([*made, faulty]))
    assert result.to_numpy().tolist() == [
        ["O1", "do-not-trust", 1, 1, 0],
        ["O4", "do-not-trust", 2, 1, 1],
        ["O5", "trust", 1, 1, 1],
        ["O9", "do-not-trust", 1, 1, 0],
    ]
    share, trusted = decided_bars(result)
    assert (share.passed, share.measured) == (False, "4 of 5 models")
    assert (trusted.passed, trusted.measured) == (False, "1 of 4 models trusted")


def test_what_training_showed_is_compared_question_by_question():
    def questions(name, *changed):
        rows = [(f"q{i}", "filler.dots.change", value, None) for i, value in enumerate(changed)]
        truth = read_certified_truth("O5", 0).assign(organism=name, model=f"{name}@1", seed=1)
        return label_scores(truth, scores("O5", rows).assign(model=f"{name}@1"))

    made = [questions("O5", 1, 1, 1, 0), questions("O5-whole", 0, 0, 1, 0), questions("O5-filled", 1, 1, 1, 1)]
    result = compare_exposures(sum_by_question(pd.concat(made))).set_index("shows")
    assert result[["value", "cut", "difference", "n_used"]].to_numpy().tolist() == [
        [0.25, 0.75, -0.5, 4],
        [1.0, 0.75, 0.25, 4],
    ]
    assert (result["low"] < result["difference"]).all()
    rows = [[cell.plain for cell in row] for row in make_exposures_table(result.reset_index()).rows]
    assert [row[2:5] for row in rows] == [["whole", "0.75", "0.25"], ["filled", "0.75", "1.00"]]
    assert [row[5].split(" ")[0] for row in rows] == ["−0.50", "0.25"]
    assert compare_exposures(sum_by_question(made[0])).empty


def test_levels_are_fitted_on_half_of_the_seeds_and_tried_on_the_other():
    def questions(name, seed, content, question):
        rows = [
            (f"q{i}", f"mediation.{what}_share", value, None)
            for i in range(4)
            for what, value in (("content", content), ("question", question), ("relay", 0.0))
        ]
        model = f"{name}@{seed}" if seed else name
        truth = read_certified_truth(name, 0).assign(model=model, seed=seed)
        return label_scores(truth, scores(model, rows))

    same = [questions(*row) for row in (("O5", 0, 0.65, 0.3), ("O4", 0, 0.3, 0.65), ("O5", 1, 0.65, 0.3))]
    result = find_levels(pd.concat([*same, questions("O4", 1, 0.05, 0.9)])).set_index("levels")
    shares = result.loc[["in use", "calibrated"], ["fitted", "held_out"]].to_numpy(float)
    assert shares.tolist() == [[0.0, 0.5], [1.0, 1.0]]  # 0.3 is not low for the levels in use
    low, high = result.loc[["calibrated"], ["low", "high"]].to_numpy(float)[0]
    assert 0.3 <= low < high <= 0.65


def test_a_null_organism_must_be_silent():
    quiet = scores("O4", [("q", "states.step_raw", 1e-9, 0), ("q", "mediation.content", -2e-8, None)])
    assert check_silence(label_scores(read_certified_truth("O4", 0), quiet)).passed is True
    loud = scores("O4", [("q", "states.step_raw", 2e-6, 0)])
    assert check_silence(label_scores(read_certified_truth("O4", 0), loud)).passed is False
    assert (
        check_silence(
            label_scores(read_certified_truth("O5", 0), scores("O5", [("q", "states.step_raw", 1.0, 0)]))
        ).passed
        is None
    )


def test_requirements_ask_every_seed():
    cells = pd.DataFrame({"organism": ["O5", "O5", "O4"], "seed": [0, 1, 0], "mean": [1.0, 0.9, 0.96], "size": 50})
    passed = {each.name[:3]: each.passed for each in check_cells(cells)}
    assert passed == {"O5:": False, "O4:": True, "O3:": None, "O10": None}
    steps = pd.DataFrame({"organism": ["O1"], "measure": ["swap_steps"], "by_model": [{"O1": 1.0, "O1@1": 0.94}]})
    detected = {each.name.partition(",")[0]: each.passed for each in check_step_detection(steps)}
    assert detected["O1: swap_steps"] is False
    assert detected["O8: swap_steps"] is None


def steps_stated(model, cases):
    """Knows O5 by its name."""
    return [float(model.name == "O5")] * len(cases)


def test_a_measure_of_ones_own_enters_in_one_line():
    result = validate_measure(steps_stated, organisms=("O4", "O5"), n=3)
    assert result[["contest", "measure", "auroc", "n_used"]].values.tolist() == [["enforced", "steps_stated", 1.0, 6]]
    with pytest.raises(MeasureError, match="must return one number for each"):
        validate_measure(lambda model, cases: [1.0], organisms=("O4",), n=3)


def test_validate_writes_a_folder_and_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "validation"
    command = ["validate", "--organisms", "O4,O5", "-n", "30", "--out", str(out), "--strict", "--jobs", "2"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    detection = pd.read_parquet(out / "detection.parquet").set_index("measure")
    assert detection.loc["mediation.content", "auroc"] == 1.0
    assert pd.isna(detection.loc["mediation.content", "low"])  # one model of each kind
    steps = pd.read_parquet(out / "steps.parquet").set_index("measure")
    assert steps.loc["swap_steps", "auroc"] == 1.0
    requirements = json.loads((out / "requirements.json").read_text())["requirements"]
    passed = {each["name"]: each["passed"] for each in requirements}
    assert passed["O4: effects of words, states and knockouts at most 1e-06"] is True
    assert "right side" in (out / "figure.html").read_text()
    audited = (out / "runs" / "O4" / "manifest.json").stat().st_mtime_ns
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    shutil.rmtree(out / "runs" / "O5")  # what was measured is kept beside it
    few = CliRunner().invoke(app, [*command, "--measures", "knockout.steps"])
    assert few.exit_code == 0
    assert pd.read_parquet(out / "detection.parquet")["measure"].tolist() == ["knockout.steps"]
    assert not (out / "runs" / "O5").exists()
    again = read_validation(out)
    assert again.detection.set_index("measure").loc["mediation.content", "auroc"] == 1.0
    with pytest.raises(ConfigError, match=r"Did you mean 'knockout\.steps'"):
        run_validation(out, ("O4",), n=6, measures=("knockout",))
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (out / "runs" / "O4" / "manifest.json").stat().st_mtime_ns == audited
    pd.testing.assert_frame_equal(pd.read_parquet(out / "detection.parquet").set_index("measure"), detection)
