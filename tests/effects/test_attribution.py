"""Adaptive grids against the full grid of exact patches, and gradients against differences of the amount of a patch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.effects.approximation import assess_approximation
from faithlens.effects.attribution import approximate_effects, choose_cells
from faithlens.effects.experiment import Experiment
from faithlens.effects.step_effects import PatchMode
from faithlens.errors import MeasureError, PlanError
from faithlens.model.model import Model
from faithlens.plan.condition import Component, Condition, Patch
from tests.conftest import call_unchecked, tiny
from tests.effects.naive import STEPS, pair
from tests.execution.exact import NoFloat32, in_float64

AMOUNT = 1e-4  # of a central difference, whose error is of the order of its square


def differentiate(model: Model, w: Experiment, component: Component, heads: tuple[int, ...] | None) -> np.ndarray:
    """The derivative of the logit difference in the amount of each patch, at the base run: [layer, step]."""
    moved = [
        w.add_edits(Patch(component, step, w.source, layers=(layer,), heads=heads, amount=amount))
        for layer in range(3)
        for step in STEPS
        for amount in (-AMOUNT, AMOUNT)
    ]
    ends, records = run(model, w.unedited_runs), run(model, moved)
    answer, foil = ends.argmax(1)
    differences = (records[:, answer] - records[:, foil]).reshape(3, 3, 2)
    return (differences[..., 1] - differences[..., 0]) / (2 * AMOUNT)


def run(model: Model, conditions: list[Condition]) -> np.ndarray:
    """The log-probabilities of the options: [condition, option]."""
    return torch.stack([each.logprobs for each in fl.execute(model, fl.plan_passes(model, conditions))]).numpy()


SLOPES = [
    ("resid_pre", None, "denoise"),
    ("resid_pre", None, "noise"),
    ("z", (1, 3), "noise"),
    ("mlp_out", None, "noise"),
]


@pytest.mark.parametrize(("component", "heads", "mode"), SLOPES)
def test_one_backward_pass_gives_the_slope_of_every_cell(
    component: Component, heads: tuple[int, ...] | None, mode: PatchMode
) -> None:
    model = in_float64(tiny("llama"))
    w = Experiment.from_pair(mode, *pair())
    with NoFloat32():
        grid = approximate_effects(model, [w], component, range(3), STEPS, heads, 0, mode)[0]
        slopes = differentiate(model, w, component, heads)
    np.testing.assert_allclose(grid, slopes if mode == "denoise" else -slopes, atol=1e-5)
    assert np.abs(grid).max() > 1e-2


def test_the_slopes_take_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model, passes = tiny("llama"), []
    backward = torch.autograd.grad

    def count(*args: object, **options: object) -> object:
        passes.append(1)
        return backward(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.autograd, "grad", count)
    pairs = [pair(seed) for seed in (0, 1)]
    fl.effects.adaptive_patch_effects(model, [c for c, _ in pairs], [d for _, d in pairs], top=2)
    assert len(passes) == 2  # one for each trace
    passes.clear()
    fl.effects.adaptive_patch_effects(model, *pair(), top=2, midpoints=4)
    assert len(passes) == 3  # one for each layer


@pytest.mark.parametrize("mode", ["denoise", "noise"])
@pytest.mark.parametrize("site", ["resid_pre", "z"])
def test_exact_cells_are_those_of_the_full_grid(site: Component, mode: PatchMode) -> None:
    model = in_float64(tiny("llama"))
    pairs = [pair(seed) for seed in range(2)]
    clean, donor = [c for c, _ in pairs], [d for _, d in pairs]
    with NoFloat32():
        full = fl.effects.patch_effects(model, clean, donor, site, mode)
        grid = fl.effects.adaptive_patch_effects(model, clean, donor, site, mode, top=3, n_checked=2, midpoints=2)
    assert grid.is_exact is not None
    assert grid.is_exact.sum() == 5
    np.testing.assert_allclose(grid.effect[:, grid.is_exact], full.effect[:, grid.is_exact], atol=1e-9)
    others = np.abs(grid.effect - full.effect)[:, ~grid.is_exact]
    assert 1e-6 < others.max() < 0.5 * np.abs(full.effect).max()  # approximations: near, and not equal
    work = [Experiment.from_pair(mode, *each) for each in pairs]
    approximate = approximate_effects(model, work, site, range(3), STEPS, None, 2, mode)
    strongest = np.argsort(-np.abs(approximate).mean(0), axis=None)[:3]
    assert grid.is_exact.ravel()[strongest].all()
    expected = assess_approximation(approximate, np.where(grid.is_exact, full.effect, np.nan))
    assert grid.quality is not None
    assert grid.quality.n_cells == expected.n_cells == 10
    for name in ("pearson", "rank_correlation", "sign_agreement", "top_overlap"):
        assert getattr(grid.quality, name) == pytest.approx(getattr(expected, name))


def test_all_cells_exact_is_the_full_grid() -> None:
    model = tiny("llama")
    full = fl.effects.patch_effects(model, *pair())
    grid = fl.effects.adaptive_patch_effects(model, *pair(), top=9)
    np.testing.assert_allclose(grid.effect, full.effect, atol=1e-6)
    assert grid.is_exact is not None
    assert grid.is_exact.all()


def test_integrated_gradients_add_up_and_the_slope_does_not() -> None:
    """Over all steps of a layer, to the effect of patching them together."""
    model = tiny("llama")
    w = Experiment.from_pair("denoise", *pair())
    moved = w.add_edits(*(Patch("mlp_out", step, w.source, layers=(0,)) for step in STEPS))
    clean, base, all_at_once = run(model, [w.clean, w.base, moved])
    answer, foil = clean.argmax(), base.argmax()
    total = (all_at_once[answer] - all_at_once[foil]) - (base[answer] - base[foil])
    sums = [approximate_effects(model, [w], "mlp_out", (0,), STEPS, None, n, "denoise").sum() for n in (0, 20)]
    assert sums[1] == pytest.approx(total, rel=0.02)
    assert abs(sums[1] - total) < abs(sums[0] - total)


def test_cells_are_the_strongest_and_some_others() -> None:
    approximate = np.array([[[1.0, -9.0], [0.5, np.nan]], [[3.0, 9.0], [0.5, 6.0]]])  # means 2, 9, .5, 6
    assert choose_cells(approximate, 2, 0, 0).tolist() == [[False, True], [False, True]]
    drawn = [choose_cells(approximate, 2, 1, seed).ravel().tolist() for seed in range(20)]
    assert {tuple(each) for each in drawn} == {(True, True, False, True), (False, True, True, True)}
    assert choose_cells(approximate, 9, 9, 0).all()


def test_every_table_says_which_cells_are_exact() -> None:
    model = tiny("llama")
    pairs = [pair(seed) for seed in range(3)]
    grid = fl.effects.adaptive_patch_effects(
        model, [c for c, _ in pairs], [d for _, d in pairs], top=3, n_checked=1, midpoints=5
    )
    assert grid.is_exact is not None
    exact = {(str(layer), STEPS[step]) for layer, step in np.argwhere(grid.is_exact)}
    for table in (grid.to_dataframe(), grid.bootstrap_ci()):
        assert {tuple(row) for row in table[table["is_exact"]][["layer", "step"]].to_numpy()} == exact
    page = grid._repr_html_()
    assert page.count("<td>~") == 5
    assert grid.quality is not None
    for text in (page, repr(grid)):
        assert (
            f"4 of 9 cells exact; against 12 exact patches: rank correlation {grid.quality.rank_correlation:.2f}"
            in text
        )
    figure: Any = grid.plot()
    assert set(zip(figure.data[1].y, figure.data[1].x, strict=True)) == exact
    assert "rank correlation" in figure.layout.title.text
    one = fl.effects.adaptive_patch_effects(model, *pair(), layers=[1], top=1, n_checked=1, midpoints=5)
    assert one.is_exact is not None
    bars: Any = one.plot()
    assert list(bars.data[0].marker.pattern.shape) == ["" if each else "/" for each in one.is_exact[0]]
    assert "is_exact" not in fl.effects.patch_effects(model, *pair()).to_dataframe()


def test_a_grid_of_approximations_with_wrong_signs_is_not_shown() -> None:
    grid = fl.effects.adaptive_patch_effects(tiny("llama"), *pair(), top=2, n_checked=2)
    assert grid.quality is not None
    bad = replace(grid, quality=replace(grid.quality, sign_agreement=0.7))
    for show in (bad.to_dataframe, bad.plot):
        with pytest.raises(MeasureError, match="agree with exact patching in 70% of 4 cells"):
            show()


def test_a_trace_without_a_step_has_no_cell_there() -> None:
    model = tiny("llama")
    clean, donor = pair()
    shorter = [replace(each, pieces=(*each.pieces[:2], *each.pieces[3:])) for each in pair(3)]
    grid = fl.effects.adaptive_patch_effects(model, [clean, shorter[0]], [donor, shorter[1]], top=9)
    full = fl.effects.patch_effects(model, [clean, shorter[0]], [donor, shorter[1]])
    np.testing.assert_allclose(grid.effect, full.effect, atol=1e-6)
    assert np.isnan(grid.effect[1, :, 1]).all()


def test_a_grid_without_an_exact_cell_or_with_negative_numbers_is_refused() -> None:
    model = tiny("llama")
    with pytest.raises(MeasureError, match="no cell was patched exactly"):
        fl.effects.adaptive_patch_effects(model, *pair(), top=0, n_checked=0)
    for name in ("top", "n_checked", "midpoints"):
        with pytest.raises(PlanError, match=f"{name} must be a whole number of at least 0, got -1"):
            call_unchecked(fl.effects.adaptive_patch_effects, model, *pair(), **{name: -1})
