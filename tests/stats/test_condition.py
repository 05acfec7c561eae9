"""The scaling question: closed forms, and how often intervals hold a planted truth with as few sizes and tasks as runs
have.

The planted world: accuracy rises by 0.13 a tenfold of parameters, the measure falls by 0.5 for each unit of accuracy,
and tasks differ in level and in slope.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import binom, linregress, pearsonr, t

from faithlens.errors import MeasureError
from faithlens.stats.condition import ANSWERS, ERROR_UNKNOWN, at_equal_accuracy, raw, size_effects
from faithlens.stats.matched import at_equal_confidence, at_equal_loss, on_wrong_items
from faithlens.stats.scaling import ONE_MODEL
from faithlens.stats.within import within_sizes

REPEATS = 200


def least(repeats):
    """The coverage that 95 % intervals fall short of once in a hundred times of so many repeats; 0.91 for 200."""
    return binom.ppf(0.01, repeats, 0.95) / repeats


THROUGH, RISE = -0.5, 0.13


def cells(rng, sizes=4, tasks=6, effect=0.0, levels=0.05, slopes=0.03, wobble=0.05, noise=0.03):
    """A row a size x task. `effect` is what size itself does; `levels`, `slopes`: how much tasks differ."""
    own, level, slope = rng.uniform(0.25, 0.65, tasks), rng.normal(0, levels, tasks), rng.normal(0, slopes, tasks)
    rows = []
    for log_size in np.linspace(8, 10, sizes):
        accuracy = own + RISE * (log_size - 8) + rng.normal(0, wobble, tasks)
        value = 0.6 + level + THROUGH * accuracy + (effect + slope) * (log_size - 8) + rng.normal(0, noise, tasks)
        rows.append(
            pd.DataFrame({"size": 10**log_size, "task": np.arange(tasks), "accuracy": accuracy, "value": value})
        )
    return pd.concat(rows, ignore_index=True)


def covered(low, high, truth=0.0):
    return np.mean((low <= truth) & (truth <= high))


# --- raw ---


def test_the_raw_slope_is_least_squares_within_tasks():
    table = cells(np.random.default_rng(0)).drop(index=[3, 11]).assign(x=lambda rows: np.log10(rows["size"]))
    assert raw(table).value == pytest.approx(smf.ols("value ~ x + C(task)", table).fit().params["x"])


def test_with_all_cells_the_raw_interval_is_the_t_interval_of_the_tasks_slopes():
    table = cells(np.random.default_rng(1))
    slopes = [linregress(np.log10(rows["size"]), rows["value"]).slope for _, rows in table.groupby("task")]
    found = raw(table)
    assert (found.value, found.n_used, found.n_sizes) == (pytest.approx(np.mean(slopes)), 6, 4)
    half = t.ppf(0.975, 5) * np.std(slopes, ddof=1) / np.sqrt(6)
    assert (found.low, found.high) == pytest.approx((np.mean(slopes) - half, np.mean(slopes) + half))
    assert found.unit == "fraction per tenfold of parameters"
    assert found.warning == ONE_MODEL
    assert found.reason is None


def test_what_is_missing_is_said():
    table = cells(np.random.default_rng(1))
    table.loc[0, "value"] = np.nan
    alone = pd.DataFrame({"size": [1e8], "task": [9], "accuracy": [0.5], "value": [0.5]})
    found = raw(pd.concat([table, alone]))
    assert (found.n_used, found.n_dropped) == (6, 1)
    assert found.reason == "2 of 25 cells dropped: no value, or measured at one size only"
    one = raw(table[table["task"] == 2])
    assert (one.low, one.high) == (None, None)
    assert one.reason == "1 task measured at several sizes: an interval over them needs at least 2"
    assert "1 task: too few" in str(one.warning)
    none = raw(table[table["size"] == 1e8])
    assert (none.value, none.method, none.warning) == (None, "none", None)
    assert "2 sizes: a difference, not a trend" in str(raw(table[table["size"].isin([1e8, 1e10])]).warning)
    still = raw(table.assign(value=0.25))
    assert (still.low, still.reason) == (None, "all tasks agree: resampling shows no doubt")


def test_only_the_last_checkpoint_counts_and_tables_that_are_none_are_refused():
    table = cells(np.random.default_rng(1))
    early = table.assign(checkpoint=1, value=0.0)
    both = pd.concat([early, table.assign(checkpoint=2)])
    assert raw(both) == raw(table)
    assert within_sizes(both) == within_sizes(table)
    with pytest.raises(MeasureError, match="several rows of one size, task, seed"):
        raw(pd.concat([table, table]))
    with pytest.raises(MeasureError, match="one family at a time"):
        raw(table.assign(family=["a", "b"] * 12))
    with pytest.raises(MeasureError, match="no column 'value'"):
        raw(table.rename(columns={"value": "val"}))
    with pytest.raises(MeasureError, match="not a positive number"):
        raw(table.assign(size=0))


def test_seeds_are_the_unit_where_there_are_several():
    """What is particular to a model is shared by its tasks: resampling tasks takes it for size, resampling seeds does
    not. 80 repeats, 3 sizes, 5 seeds."""
    rng, x, found = np.random.default_rng(5), np.repeat([8.0, 9.0, 10.0], 5), []
    for _ in range(80):
        models = pd.DataFrame({"size": 10**x, "seed": np.tile(range(5), 3), "own": rng.normal(0, 0.05, 15)})
        table = models.merge(pd.DataFrame({"task": range(4)}), how="cross")
        table["value"] = table["own"] + rng.normal(0, 0.02, len(table))
        found.append([(each.low, each.high) for each in (raw(table), raw(table, counted="task"))])
    (low, tight_low), (high, tight_high) = np.array(found).transpose(2, 1, 0)
    assert covered(low, high) >= least(80)
    assert covered(tight_low, tight_high) < 0.75
    seeds = raw(table)
    assert (seeds.counted, seeds.n_used, seeds.warning) == ("seed", 5, "speaks for these tasks only")


# --- at equal accuracy ---


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_equal_accuracy_is_the_mixed_models_coefficient():
    table = cells(np.random.default_rng(3), effect=-0.1).assign(x=lambda rows: np.log10(rows["size"]))
    model = smf.mixedlm("value ~ x + accuracy", table, groups="task").fit(reml=True)
    found = at_equal_accuracy(table)
    assert found.value == pytest.approx(model.fe_params["x"], abs=1e-5)
    assert found.method == "mixed model (REML), task as group, jackknife over tasks"
    assert found.reason is None


def test_where_tasks_do_not_vary_fixed_effects_step_in_and_say_so():
    """Their interval is CR3: what leaving out each task in turn does to the coefficient of ordinary least squares."""
    rng = np.random.default_rng(0)
    table = cells(rng, levels=0.0, slopes=0.0).assign(x=lambda rows: np.log10(rows["size"]))
    table["value"] -= table.groupby("task")["value"].transform("mean") - THROUGH * table.groupby("task")[
        "accuracy"
    ].transform("mean")
    formula = "value ~ x + accuracy + C(task)"
    value = smf.ols(formula, table).fit().params["x"]
    without = [smf.ols(formula, table[table["task"] != task]).fit().params["x"] for task in range(6)]
    half = t.ppf(0.975, 5) * np.sqrt(5 / 6 * sum((each - value) ** 2 for each in without))
    found = at_equal_accuracy(table)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half))
    assert found.method == "OLS with task fixed effects, cluster-robust (CR3), jackknife over tasks"
    assert found.reason == "no mixed model: it is singular, as tasks do not vary"


def test_accuracy_that_follows_from_size_cannot_be_held_fixed():
    table = cells(np.random.default_rng(0), wobble=0.0)
    found = at_equal_accuracy(table)
    assert (found.value, found.reason) == (None, "accuracy varies with task and size alone")
    table["accuracy"] += np.random.default_rng(1).normal(0, 0.005, len(table))
    assert "accuracy nearly follows from size and task (variance inflation" in str(at_equal_accuracy(table).warning)


def test_accuracies_that_no_two_sizes_share_are_extrapolated_and_that_is_said():
    apart = cells(np.random.default_rng(0)).assign(
        accuracy=lambda rows: rows["accuracy"] + 0.4 * (np.log10(rows["size"]) - 8)
    )
    assert "no accuracy is reached at every size" in str(at_equal_accuracy(apart).warning)
    assert at_equal_accuracy(cells(np.random.default_rng(0))).warning == f"{ONE_MODEL}; {ERROR_UNKNOWN}"


def test_an_error_in_accuracy_leaves_part_of_its_effect_with_size_unless_it_is_known():
    """100 tasks that differ so much that only changes within tasks count. Half of what accuracy varies by is error, so
    half of its effect, -0.5 x 0.13 / 2, stays with size; knowing the error gives it back."""
    rng = np.random.default_rng(0)
    table = cells(rng, tasks=100, levels=1.0, slopes=0.0, noise=0.01)
    table["accuracy"] += rng.normal(0, 0.05, len(table))
    assert at_equal_accuracy(table).value == pytest.approx(THROUGH * RISE / 2, abs=0.004)
    known = at_equal_accuracy(table.assign(accuracy_se=0.05))
    assert known.value == pytest.approx(0.0, abs=0.005)
    assert known.low < 0 < known.high
    half = at_equal_accuracy(table.assign(accuracy_se=0.055))
    assert "of what accuracy varies by beyond size and task is its own error" in str(half.warning)
    assert "but for its own error" in str(at_equal_accuracy(table.assign(accuracy_se=0.2)).reason)


@pytest.fixture(scope="module")
def no_effect_of_size():
    """Values and intervals of both answers, [repeat, answer, (value, low, high)], where size itself does nothing."""
    rng = np.random.default_rng(11)
    tables = [cells(rng) for _ in range(REPEATS)]
    found = [[(each.value, each.low, each.high) for each in (raw(one), at_equal_accuracy(one))] for one in tables]
    return np.array(found, dtype=float)


def test_a_measure_that_accuracy_drives_falls_with_size_and_not_at_equal_accuracy(no_effect_of_size):
    (value, _, high), (conditioned, *ends) = no_effect_of_size.transpose(1, 2, 0)
    assert value.mean() == pytest.approx(THROUGH * RISE, abs=0.005)
    assert np.mean(high < 0) > 0.8  # so often the raw slope would be believed
    assert conditioned.mean() == pytest.approx(0.0, abs=0.006)  # standard error 0.002
    assert covered(*ends) >= least(REPEATS)


def test_an_effect_of_size_is_found(no_effect_of_size):
    """An effect that is added moves value and interval by itself, so the same intervals tell how often it is found."""
    effect = -0.1
    rng, other = np.random.default_rng(11), np.random.default_rng(11)
    moved, still = at_equal_accuracy(cells(rng, effect=effect)), at_equal_accuracy(cells(other))
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        (still.value + effect, still.low + effect, still.high + effect), abs=1e-5
    )
    high = no_effect_of_size[:, 1, 2]
    assert np.mean(high + effect < 0) > 0.8


# --- within sizes ---


def test_within_each_size_the_measure_goes_with_accuracy_over_tasks():
    table = cells(np.random.default_rng(2), sizes=3, tasks=8)
    found = within_sizes(table)
    assert [one.size for one in found] == pytest.approx([1e8, 1e9, 1e10])
    rows = table[table["size"] == 1e8]
    line, r = linregress(rows["accuracy"], rows["value"]), pearsonr(rows["accuracy"], rows["value"])
    assert (found[0].slope, found[0].correlation) == pytest.approx((line.slope, r.statistic))
    assert (found[0].correlation_low, found[0].correlation_high) == pytest.approx(tuple(r.confidence_interval()))
    assert found[0].slope_high - found[0].slope == pytest.approx(t.ppf(0.975, 6) * line.stderr)
    assert found[0].n_used == 8


def test_a_size_with_too_few_tasks_has_no_line_and_says_why():
    table = cells(np.random.default_rng(2), tasks=4)
    table.loc[(table["size"] == 1e8) & (table["task"] < 2), "accuracy"] = np.nan
    table.loc[table["size"] == 1e10, "accuracy"] = 1.0
    first, *_, last = within_sizes(table)
    assert (first.slope, first.n_used, first.n_dropped) == (None, 2, 2)
    assert first.reason == "2 dropped: no value or no accuracy; 2 tasks: a line needs at least 3"
    assert last.reason == "accuracy does not vary over tasks"


# --- at equal loss ---


def curves(rng, tasks=4, noise=0.02, effect=0.0, points=6):
    """Three sizes, each passing lower losses than the one before; the measure bends with loss."""
    rows = []
    levels = rng.normal(0, 0.1, tasks)
    for k, log_size in enumerate([8.0, 9.0, 10.0]):
        loss = np.sort(rng.uniform(2.2 - 0.2 * k, 3.4 - 0.3 * k, points - 2))
        loss = np.array([2.2 - 0.2 * k, *loss, 3.4 - 0.3 * k])
        for task in range(tasks):
            value = 0.4 * (loss - 1.5) ** 2 + levels[task] + effect * log_size + rng.normal(0, noise, points)
            rows.append(pd.DataFrame({"size": 10**log_size, "task": task, "loss": loss, "value": value}))
    return pd.concat(rows, ignore_index=True)


def test_equal_loss_by_hand():
    """Common losses 2 to 3. The small model falls from 1 to 0 between 2 and 4: it averages 3/4 there. The large one is
    1 at 1, 0 at 2.5 and 1 at 3: from 1/3 at 2 down to 0, then up to 1; that averages 1/12 + 1/4."""
    rows = [(1e8, 2.0, 1.0), (1e8, 4.0, 0.0), (1e9, 1.0, 1.0), (1e9, 2.5, 0.0), (1e9, 3.0, 1.0)]
    table = pd.DataFrame(rows, columns=["size", "loss", "value"])
    assert at_equal_loss(table).value == pytest.approx(1 / 12 + 1 / 4 - 3 / 4)


def test_straight_curves_give_back_what_was_planted():
    table = curves(np.random.default_rng(0), noise=0.0)
    table["value"] = 0.7 - 0.2 * table["loss"] + 0.05 * np.log10(table["size"]) * (1 + table["task"])
    found = at_equal_loss(table)
    assert found.value == pytest.approx(0.05 * 2.5)
    half = t.ppf(0.975, 3) * np.std(0.05 * np.arange(1, 5), ddof=1) / 2
    assert found.high - found.value == pytest.approx(half)


def test_what_bent_curves_would_change_is_in_the_interval_by_hand():
    """The line from (2, 0) over (3, 0) to (4, 1) averages 1/4; the monotone cubic leaves (3, 0) flat and arrives at
    (4, 1) with slope 3/2, so that it averages (1/2 - 3/24) / 2 = 3/16. Four tasks alike, so the jackknife shows
    nothing. The stray of (3, 0) from the line between its neighbours is 1/2, which speaks for a variance of
    1/4 / (1/4 + 1/4 + 1) = 1/6 of each checkpoint; weights are 1/4, 1/2, 1/4 at one size and 1/2, 1/2 at the other."""
    points = [(2.0, 1e8, 0.0), (3.0, 1e8, 0.0), (4.0, 1e8, 1.0), (2.0, 1e9, 0.0), (4.0, 1e9, 0.0)]
    rows = [(task, *point) for task in "abcd" for point in points]
    found = at_equal_loss(pd.DataFrame(rows, columns=["task", "loss", "size", "value"]))
    assert found.value == pytest.approx(-1 / 4)
    error = np.sqrt((3 / 8 + 1 / 2) / 6 / 4)
    assert found.high - found.value == pytest.approx(t.ppf(0.975, 4) * error + 1 / 16)


def test_checkpoints_of_one_loss_are_averaged():
    table = curves(np.random.default_rng(0))
    table["checkpoint"] = table.groupby(["size", "task"]).cumcount()
    above, below = table.assign(value=table["value"] + 1), table.assign(value=table["value"] - 1)
    both = pd.concat([above, below.assign(checkpoint=below["checkpoint"] + 10)])
    assert at_equal_loss(both).value == pytest.approx(at_equal_loss(table).value)


def test_without_common_losses_there_is_no_answer():
    table = curves(np.random.default_rng(0))
    apart = table.assign(loss=table["loss"] - 2 * (np.log10(table["size"]) - 8))
    found = at_equal_loss(apart)
    assert (found.value, found.low) == (None, None)
    assert found.reason.startswith("no common range of losses: one curve ends at ")


def test_the_error_of_checkpoints_is_in_the_interval_of_a_single_task():
    """Two checkpoints a size with a stated error of 0.1: a mean of two, weights 1/2, and a slope over two sizes."""
    rows = [(1e8, 2.0, 0.5), (1e8, 3.0, 0.5), (1e9, 2.0, 0.4), (1e9, 3.0, 0.4)]
    table = pd.DataFrame(rows, columns=["size", "loss", "value"]).assign(se=0.1)
    found = at_equal_loss(table)
    assert found.value == pytest.approx(-0.1)
    assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(2 * 2 * (0.1 / 2) ** 2))
    unknown = at_equal_loss(table.drop(columns="se"))
    assert (unknown.value, unknown.low) == (pytest.approx(-0.1), None)
    assert "whether curves bend cannot be seen" in str(found.warning)


@pytest.mark.parametrize("tasks", [1, 6])
def test_a_measure_that_loss_drives_falls_with_size_and_not_at_equal_loss(tasks):
    """The curves bend, so straight lines are off in all tasks alike, and the checkpoints scatter; 6 checkpoints a
    size, 80 repeats."""
    rng = np.random.default_rng(4)
    tables = [curves(rng, tasks) for _ in range(80)]
    value, low, high = np.array([(one.value, one.low, one.high) for one in map(at_equal_loss, tables)]).T
    last = [table[table["loss"] == table.groupby("size")["loss"].transform("min")] for table in tables[:10]]
    assert max(raw(each).value for each in last) < -0.05  # what a comparison of last checkpoints sees
    assert abs(value.mean()) < 0.003
    assert covered(low, high) >= least(80)


# --- items ---


def items(rng, sizes=3, questions=150, effect=0.0, tasks=1, seeds=1, own=0.0):
    """Larger models are right alone more often, and whoever is right alone does not move. `own`: how models differ."""
    rows = []
    hard, lean = rng.normal(0, 1, (tasks, questions)), rng.normal(0, 0.1, (tasks, questions))
    for log_size in np.linspace(8, 10, sizes):
        for seed in range(seeds):
            model = rng.normal(0, own)
            for task in range(tasks):
                confidence = 1 / (1 + np.exp(-(0.6 * (log_size - 9) - hard[task] + rng.normal(0, 0.5, questions))))
                correct = rng.random(questions) < confidence
                moved = np.clip(0.1 + 0.7 * (1 - confidence) + lean[task] + effect * (log_size - 9) + model, 0, 1)
                by_answer = np.clip(np.where(correct, 0.1, 0.6) + lean[task] + effect * (log_size - 9) + model, 0, 1)
                draw = rng.random(questions)
                columns = {"size": 10**log_size, "seed": seed, "task": task, "question": np.arange(questions)}
                columns |= {"confidence": confidence, "correct": correct.astype(float)}
                columns |= {"by_confidence": (draw < moved) * 1.0, "by_answer": (draw < by_answer) * 1.0}
                rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def test_wrong_items_by_hand():
    """Task a: of wrong items half move at 1e8 and all at 1e9. Task b: none and half. Each size has as many of a as of b
    once shares are made alike, so the slope is the mean of 1/2 and 1/2, though 1e9 has many more wrong items in a."""
    counts = [(1e8, "a", 6, 12), (1e8, "b", 0, 12), (1e9, "a", 30, 30), (1e9, "b", 3, 6)]
    rows = [
        {"size": size, "task": task, "question": q, "value": float(q < moved), "correct": 0.0}
        for size, task, moved, n in counts
        for q in range(n)
    ]
    right = [{"size": 1e8, "task": "b", "question": 99, "value": 1.0, "correct": 1.0}]
    found = on_wrong_items(pd.DataFrame([*rows, *right]))
    assert found.value == pytest.approx(0.5)
    assert (found.n_used, found.n_dropped) == (42, 1)
    assert found.reason.startswith("1 of 61 answers left out: right without a chain of thought")
    assert found.warning.endswith("43% of these items are compared at every size: the others differ between sizes")


def test_kinds_that_a_size_lacks_are_left_out():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0.0, 0.19, 40), rng.uniform(0.9, 1.0, 40)
    small = pd.DataFrame({"size": 1e8, "question": range(80), "confidence": [*low, *high], "value": [0.5, 1.0] * 40})
    large = small.assign(size=1e9)
    large.loc[:39, "confidence"] = 0.55
    large["value"] += 0.25
    found = at_equal_confidence(pd.concat([small, large]))
    assert found.value == pytest.approx(0.25)
    assert (found.n_used, found.n_dropped) == (40, 40)
    nothing = at_equal_confidence(pd.concat([small[:40], large[:40]]))
    assert (nothing.value, nothing.n_used) == (None, 0)
    assert "of a kind that some size has fewer than 5 of" in str(nothing.reason)


@pytest.mark.parametrize(("answer", "column"), [(on_wrong_items, "by_answer"), (at_equal_confidence, "by_confidence")])
def test_items_that_can_move_show_size_only_where_it_acts(answer, column):
    """40 repeats; power at an effect of -0.12 a tenfold, which also stays unbiased."""
    rng, n = np.random.default_rng(8), 40
    found, naive = [], []
    for _ in range(n):
        none, some = (items(rng, effect=effect).assign(value=lambda rows: rows[column]) for effect in (0.0, -0.12))
        found.append([(one.value, one.low, one.high) for one in (answer(none), answer(some))])
        naive.append(linregress(np.log10(none["size"]), none["value"]).slope)
    (value, low, high), (moved, lowest, highest) = np.array(found, dtype=float).transpose(1, 2, 0)
    assert np.mean(naive) < -0.04
    assert abs(value.mean()) < 0.012
    assert moved.mean() == pytest.approx(-0.12, abs=0.015)
    for each in (covered(low, high), covered(lowest, highest, -0.12)):
        assert each >= least(n)
    assert np.mean(highest < 0) > 0.8


def test_models_that_differ_widen_the_interval_of_items():
    rng, n, found = np.random.default_rng(9), 30, []
    for _ in range(n):
        table = items(rng, seeds=4, questions=40, own=0.15).assign(value=lambda rows: rows["by_answer"])
        pooled = table.assign(question=lambda rows: rows["question"] + 1000 * rows["seed"]).drop(columns="seed")
        found.append([(one.low, one.high) for one in (on_wrong_items(table), on_wrong_items(pooled))])
    (low, tight_low), (high, tight_high) = np.array(found).transpose(2, 1, 0)
    assert covered(low, high) >= least(n)
    assert covered(tight_low, tight_high) < 0.8


# --- side by side ---


def test_all_answers_side_by_side():
    table, rng = cells(np.random.default_rng(0)), np.random.default_rng(1)
    alone = size_effects(table.drop(columns="accuracy")).set_index("answer")
    assert alone.index.tolist() == list(ANSWERS)
    assert alone["value"].notna().tolist() == [True, False, False, False, False]
    assert alone.loc["at equal loss", "reason"] == "held-out loss was not measured"
    rows = items(rng).assign(value=lambda rows: rows["by_answer"])
    every = size_effects(table.assign(loss=2.0 + 0.1 * table["task"]), rows, unit="probability").set_index("answer")
    assert every.loc["raw", "value"] == raw(table).value
    assert every.loc["at equal accuracy", "value"] == at_equal_accuracy(table).value
    assert every.loc["on wrong items", "high"] == on_wrong_items(rows).high
    assert every.loc["at equal confidence", "low"] == at_equal_confidence(rows).low
    assert every.loc["at equal loss", "reason"].startswith("no common range")
    assert (every["unit"] == "probability per tenfold of parameters").all()
