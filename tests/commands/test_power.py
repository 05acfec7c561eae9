"""`faithlens plan`: the closed forms by hand, before a run and after one, and what is refused."""

import json
from math import ceil
from pathlib import Path

import pytest
from scipy.stats import beta, binomtest, norm
from typer.testing import CliRunner

from faithlens.cli import main
from faithlens.commands.power import Aim, Guess, predict_power
from faithlens.errors import ConfigError, FaithlensError
from faithlens.stats.estimate import compute_estimates
from faithlens.store import Run

Z = 1.959964
EARLY, SHARE = "early_answering.aoc_mean_0_to_n-1", "mediation.content_share"


def compute_power(*words: object) -> dict:
    """What `faithlens plan ... --json` prints."""
    outcome = CliRunner().invoke(main.app, ["power", *map(str, words), "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0
    return json.loads(outcome.stdout)


def print_power(*words: object) -> str:
    outcome = CliRunner().invoke(main.app, ["power", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "80"})
    assert outcome.exit_code == 0
    return outcome.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 questions: 16 right with the chain, 12 after the edit, 5 changed; of content shares half are 0.2, half 0.6."""
    run = Run.create(tmp_path_factory.mktemp("plan") / "run", {"config": {}, "seed": 0})
    measures = {
        "accuracy.full": [1.0] * 16 + [0.0] * 4,
        "accuracy.chance": [0.25] * 20,
        "early_answering.accuracy": [1.0] * 12 + [0.0] * 8,
        EARLY: [0.0] * 15 + [1.0] * 5,
        SHARE: [0.2, 0.6] * 10,
    }
    at = {"model": "m", "task": "t", "condition": "full", "unit": "fraction"}
    rows = [
        {**at, "question": f"q{i:02d}", "measure": name, "value": value}
        for name, values in measures.items()
        for i, value in enumerate(values)
    ]
    run.write_part("scores", "m t", rows)
    run.finish({"estimates": compute_estimates(run.read("scores"), 0)})
    return run.path


def test_before_a_run_the_numbers_are_the_closed_forms() -> None:
    """Accuracies of 0.3 and 0.8 let 90 of 100 answers change; the half-width of a share of one half is exact."""
    words = ["--accuracy", 0.8, "--without", 0.3, "--change", 0.5, "-n", 100, "--half-width", 0.05]
    result = compute_power(*words)["power"]
    half = beta.ppf(0.975, 51, 50) - 0.5  # 0.1017
    assert result["n_informative"] == pytest.approx(90)
    assert result["half_width"] == pytest.approx(half, rel=1e-6)
    assert result["detectable"] == pytest.approx(half * (Z + 0.841621) / Z, rel=1e-6)
    assert result["detectable_share"] == pytest.approx(result["detectable"] / 0.9)
    assert result["needed"] == 402  # 201 of 402: 0.4500 to 0.5500
    assert beta.ppf(0.975, 202, 201) - 0.5 <= 0.05 < beta.ppf(0.975, 201.5, 200.5) - 0.5
    text = print_power(*words)
    assert "questions for a half-width of 0.05 " in text
    for number in ("90", "0.10", "0.15", "0.16", "402"):
        assert number in text


def test_a_spread_over_questions_plans_for_measures_that_are_no_yes_or_no() -> None:
    """1.96 x 0.4 / sqrt(64) = 0.098, and (1.96 x 0.4 / 0.02)^2 = 1536.6."""
    result = compute_power("--sd", 0.4, "-n", 64, "--half-width", 0.02, "--power", 0.9)["power"]
    assert result["half_width"] == pytest.approx(Z * 0.05, rel=1e-6)
    assert result["detectable"] == pytest.approx((Z + norm.ppf(0.9)) * 0.05, rel=1e-6)
    assert (result["needed"], result["n_informative"], result["detectable_share"]) == (1537, None, None)


def test_after_a_run_its_own_intervals_speak(run: Path) -> None:
    early, share = compute_power(run, "--half-width", 0.1)["measures"]
    assert (early["estimate"]["measure"], share["estimate"]["measure"]) == (EARLY, SHARE)
    assert early["power"]["n_informative"] == pytest.approx(20 * (0.4 + 0.2))  # 0.6 right after the edit, 0.8 before
    exact = binomtest(5, 20).proportion_ci(method="exact")
    assert early["power"]["half_width"] == pytest.approx((exact.high - exact.low) / 2, rel=1e-6)
    assert early["power"]["needed"] == next(
        n for n in range(1, 200) if beta.ppf(0.975, n / 4 + 1, 3 * n / 4) - beta.ppf(0.025, n / 4, 3 * n / 4 + 1) <= 0.2
    )
    assert share["power"]["n_informative"] is None  # accuracies say nothing about a share of an effect
    wide = share["estimate"]["high"] - share["estimate"]["low"]
    assert share["power"]["half_width"] == pytest.approx(wide / 2)
    assert share["power"]["needed"] == ceil(20 * (wide / 2 / 0.1) ** 2)


def test_a_measure_may_be_named_and_the_table_tells_it(run: Path) -> None:
    [only] = compute_power(run, "--measure", "accuracy.full")["measures"]
    assert (only["estimate"]["value"], only["power"]["n"]) == (pytest.approx(0.8), 20)
    rows = print_power(run).splitlines()  # on a narrow terminal
    first, second = (next(row for row in rows if words in row).split() for words in ("0.25 ", "early answering"))
    assert " ".join(first[2:]) == "0.25 20 of 20 12 0.20 0.29 306"
    assert " ".join(second[-4:]) == "(0.09 to 0.49) (0.48)"  # exact; 0.29 over the 0.6 that can change


REFUSALS = {
    "": "exactly one of --change and --sd is needed",
    "--change 0.5 --sd 0.1": "exactly one of --change and --sd is needed",
    "--change 0.5 --accuracy 0.8": "Give --accuracy and --without, or neither.",
    "--change 1.5": "--change must be from 0 to 1",
    "--sd -1": "--sd must be 0 or more",
    "--change 0.5 -n 0": "n must be at least 1 question",
    "--change 0.5 --half-width 0": "half_width must be above 0",
    "--change 0.5 --power 1": "power must be between 0 and 1",
    "--change 0.9 --accuracy 0.9 --without 0.8": "at most 0.30 for accuracies of 0.80 and 0.90",
    "RUN -n 50": "which holds the measured values",
    "--change 0.5 --measure x": "guesses are not about a measure",
    "RUN --change 0.5": "which holds the measured values",
    "RUN --measure mediation.content_shar": f"Did you mean '{SHARE}'?",
    "nowhere": "it has no manifest.json",
}


@pytest.mark.parametrize("words", REFUSALS)
def test_guesses_that_cannot_be_are_refused(words: str, run: Path) -> None:
    requested = [str(run) if word == "RUN" else word for word in words.split()]
    outcome = CliRunner().invoke(main.app, ["power", *requested])
    assert isinstance(outcome.exception, FaithlensError)
    assert REFUSALS[words] in str(outcome.exception)


def test_accuracies_that_leave_no_room_are_told_as_such() -> None:
    result = predict_power(Guess(50, 1.0, 1.0, change=0.0), Aim())
    assert (result.n_informative, result.reason) == (0, "the accuracies leave no room for change")
    with pytest.raises(ConfigError, match=r"at most 0\.00"):
        Guess(50, 1.0, 1.0, change=0.1)
