"""An assay of a user's own, as the docstring of `faithlens.assays.assay` shows it: given by name or as an object."""

from collections.abc import Callable

import pytest

from faithlens.assays import battery, mediation
from faithlens.assays.assay import Records, Setting
from faithlens.errors import ConfigError
from faithlens.interventions.case import Case
from faithlens.interventions.truncation import make_full_cot, truncate
from faithlens.measures.answers import choose_option
from faithlens.measures.catalogue import Measure
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from tests.assays.scripted import LENS
from tests.assays.sum_by_hand import CASE, SETTING

PLACE = f"{__name__}:LastStep"


class LastStep:
    """Leave out the last step: does the answer change?"""

    name = "last_step"
    READERS = ("answer",)

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        return [make_full_cot(case), truncate(case, len(case.trace.steps) - 1)]

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        cut = records[f"cut@{len(case.trace.steps) - 1}"]
        changed = choose_option(cut.logprobs) != choose_option(records["full"].logprobs)
        return [Score("last_step.change", float(changed), cut.condition.name)]


class Unfinished:
    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        return []


@pytest.fixture(autouse=True)
def measure(register_measure: Callable[..., Measure]) -> Measure:
    return register_measure(
        name="last_step.change",
        label="last step left out",
        meaning="The answer changes when the last step is left out.",
        unit="fraction",
        kind="yes/no",
        range=(0.0, 1.0),
        assay="last_step",
    )


@pytest.mark.parametrize("assay", [LastStep(), LastStep, PLACE])
def test_an_own_assay_runs_beside_the_others(assay) -> None:
    [result] = battery.run_battery(SETTING, [CASE], [assay, "early_answering"])
    [score] = [score for score in result.scores if score.measure == "last_step.change"]
    retention = [s for s in result.scores if s.measure == "early_answering.retention" and s.condition == "cut@2"]
    assert score.value == 1 - retention[0].value
    assert score.condition == "cut@2"
    assert set(result.records) == {"full", "cut@0", "cut@1", "cut@2"}
    assert result.records["full"].attention["answer"].shape[:2] == (LENS.n_layers, LENS.n_heads)


def test_assays_are_named_and_ordered() -> None:
    assert list(battery.select_assays([LastStep(), "mistakes", "early_answering", mediation])) == [
        "early_answering", "mistakes", "mediation", "last_step",
    ]  # fmt: skip
    assert list(battery.select_assays([PLACE])) == [PLACE]
    assert battery.needs_counterfactuals([LastStep(), mediation])
    assert not battery.needs_counterfactuals([LastStep(), "mistakes"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("early_answerin", "Did you mean 'early_answering'.*package.module:Class"),
        ("no.such.module:Assay", "cannot be imported: No module named 'no'"),
        (f"{__name__}:LastStop", "has no attribute 'LastStop'"),
        (f"{__name__}:Unfinished", "functions `conditions` and `score`"),
    ],
)
def test_what_is_no_assay_is_refused(wrong, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        battery.select_assays([wrong])


def test_two_own_assays_need_two_names() -> None:
    with pytest.raises(ConfigError, match="two assays are named 'last_step'"):
        battery.select_assays([LastStep(), LastStep()])
