"""The measure catalogue: entries are complete, kinds are those of the code, and a user's measure is in every output."""

import json
import re
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from faithlens.assays import battery, bias, hints, strategies
from faithlens.assays.assay import Outcome, Records, Setting
from faithlens.cli.main import app
from faithlens.commands.audit import run_audit
from faithlens.config import AuditConfig, Subject
from faithlens.errors import MeasureError
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case
from faithlens.interventions.truncation import make_full_cot, truncate
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import (
    ASSAYS,
    HEADINGS,
    MEASURES,
    SUITES,
    Measure,
    check_value,
    cut_rounding,
    get_measure,
    list_measures,
    registry,
)
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.report.export import export_run
from faithlens.report.terminal import format_summary
from faithlens.tasks import biased_prompts, kinds

# --- every entry by itself ---


def test_labels_and_meanings_are_unique() -> None:
    for field in ("label", "meaning"):
        texts = [getattr(measure, field) for measure in MEASURES.values()]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda measure: measure.name)
def test_an_entry_is_complete(measure: Measure) -> None:
    assert re.fullmatch(r"[A-Z].*[^.]\.", measure.meaning), "one sentence"
    assert not re.search(r"[a-z)]\. [A-Z]", measure.meaning), "one sentence"
    assert re.search(
        r"; .*\b(high|low|rising|below|near|means?|limits?|least|more|exceed|must change)\b", measure.meaning
    ), "what a value means"
    others = (measure.control, measure.bound_low, measure.bound_high, measure.bound_accuracy)
    assert {name for name in others if name} <= set(MEASURES)
    assert measure.heading is None or measure.heading in HEADINGS
    assert measure.assay is None or measure.assay in ASSAYS
    check_value(measure.name, None)


def test_the_shares_of_mediation_have_no_ends_but_a_usual_range() -> None:
    share = get_measure("mediation.content_share")
    assert (share.range, share.scale) == ((None, None), (0.0, 1.0))
    check_value(share.name, -0.3)


# --- the kinds are those of the code ---


def test_assays_and_suites_are_those_of_the_battery() -> None:
    assert tuple(battery.ASSAYS) == ASSAYS
    assert {measure.assay for measure in MEASURES.values() if measure.assay} == set(ASSAYS)
    assert set(SUITES["behaviour"]).isdisjoint({"mediation", "sufficiency", "states", "knockouts", "attention"})


def test_kinds_are_those_of_the_code() -> None:
    assert list(kinds.PAPER_HINTS) == list(biased_prompts.HINT_PROMPTS)
    assert set(kinds.OUTCOMES) == set(get_args(Outcome))
    of_hint = [measure for measure in list_measures(assay="hints") if measure.name.startswith("hints.half.")]
    assert {measure.name.rpartition(".")[2] for measure in of_hint} == set(hints.MEASURES)
    in_bias = {name.rpartition(".")[2] for name in MEASURES if re.fullmatch(r"bias\.suggested\.\w+", name)}
    assert in_bias == {*bias.MEASURES, *bias.READINGS}
    in_strategies = {name.rpartition(".")[2] for name in MEASURES if name.startswith("strategies.factored.")}
    assert in_strategies == set(strategies.MEASURES)


# --- functions ---


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(MeasureError, match=r"deletion\.chang.*\n.*'deletion\.change'"):
        get_measure("deletion.chang")
    with pytest.raises(MeasureError, match="standard"):
        list_measures(suite="standart")
    with pytest.raises(MeasureError, match="low end first"):
        Measure(name="x", label="x", meaning="X.", unit="fraction", range=(1.0, 0.0), kind="share")


def test_rounding_beyond_a_range_is_cut_off() -> None:
    assert cut_rounding("coverage.full", 1.0000001) == 1
    assert cut_rounding("coverage.full", -1e-9) == 0
    for value in (0.5, 1.01, -0.1):  # a value that is truly outside is left for the check to refuse
        assert cut_rounding("coverage.full", value) == value
    assert Score("coverage.full", 1.0000000000000002).value == 1


def test_values_outside_the_range_are_refused() -> None:
    check_value("deletion.change", 1 + 1e-9)
    for value in (1.01, -0.01, float("nan"), float("inf")):
        with pytest.raises(MeasureError, match=r"deletion\.change must lie in its range, 0 to 1"):
            check_value("deletion.change", value)


def test_a_name_is_registered_once(register_measure) -> None:
    own = {"name": "own", "label": "own", "meaning": "Own.", "unit": "nat", "range": (0.0, None), "kind": "nats"}
    assert register_measure(**own) == registry.register_measure(Measure(**own))
    with pytest.raises(MeasureError, match="different measure named 'own'"):
        registry.register_measure(Measure(**{**own, "label": "other"}))


def test_what_compares_with_the_right_answer_says_so() -> None:
    """`needs_right_answer` holds for accuracies and for answers or conclusions that are said to be right."""
    compares = re.compile(
        r"^(?:Mean )?Accuracy|^Whether .*\bis right\b|^Share of .*\b(?:is|are) right\b|^Share of right\b"
    )
    for measure in MEASURES.values():
        if not measure.is_derived:
            says = re.sub("in whose examples A is always right", "", measure.meaning.split(";")[0])
            assert measure.needs_right_answer == bool(compares.search(says)), measure.name


# --- a measure of a user's own ---


class LastStep:
    """Leave out the last step: does the answer change?"""

    name = "last_step"

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        return [make_full_cot(case), truncate(case, len(case.trace.steps) - 1)]

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        cut = records[f"cut@{len(case.trace.steps) - 1}"]
        changed = choose_option(cut.logprobs) != choose_option(records["full"].logprobs)
        return [Score("last_step.change", float(changed), cut.condition.name)]


def test_one_entry_and_one_assay_make_a_measure_that_is_in_every_output(register_measure, tmp_path: Path) -> None:
    meaning = "Whether leaving out the last step changes the answer; high means that the answer depends on it."
    register_measure(
        name="last_step.change", label="last step left out", meaning=meaning, unit="fraction", range=(0.0, 1.0),
        kind="yes/no", direction=1, assay="last_step", heading="Own tests", places=("terminal", "report"),
    )  # fmt: skip
    assays = ("baselines", "tests.measures.test_catalogue:LastStep")
    subject = Subject("O5", "running-sum")
    run = run_audit(
        AuditConfig(subjects=(subject,), n=3, device="cpu", assays=assays, sampling=Sampling(60)), tmp_path / "run"
    )
    scores = run.read("scores")
    values = scores.loc[scores["measure"] == "last_step.change", "value"].to_list()
    assert len(values) == 3
    estimate = run.read("estimates").set_index("measure").to_dict("index")["last_step.change"]
    assert (estimate["value"], estimate["unit"]) == (pytest.approx(sum(values) / 3), "fraction")
    console = Console(width=120)
    with console.capture() as terminal:
        console.print(format_summary(run))
    assert re.search(r"last.*\n.*step.*\n.*left.*\n.*out", terminal.get())
    page = (run.path / "report.html").read_text()
    assert all(text in page for text in ("last step left out", meaning, "Own tests"))
    table = pq.read_table(export_run(run, tmp_path / "scores.parquet", "parquet"))
    assert "last_step.change" in table["measure"].to_pylist()
    card = (export_run(run, tmp_path / "dataset", "dataset") / "README.md").read_text()
    assert f"- `last_step.change`: {meaning}" in card
    [listed] = json.loads(CliRunner().invoke(app, ["measures", "last_step.change", "--json"]).output)
    assert (listed["name"], listed["label"], listed["range"]) == ("last_step.change", "last step left out", [0.0, 1.0])
